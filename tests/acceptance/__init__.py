"""The flows of the requirements, end to end through the public interface only."""
