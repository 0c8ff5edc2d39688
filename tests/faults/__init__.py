"""Faults injected into real processes, under calls whose clients check everything they are told."""
