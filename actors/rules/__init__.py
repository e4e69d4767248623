"""Pure rules shared by actors: money, pricing, slots, holds, replies."""
