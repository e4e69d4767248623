"""Pure rules that several actors share: money, pricing, slots, matching."""
