"""The tests of Guildwire, from pure decisions to whole flows through the public interface."""
