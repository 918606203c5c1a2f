"""Recipes whose data or machines were not at hand: nothing is measured here, and the numbers named are published ones."""
