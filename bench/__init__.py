"""Measurements, against hand-written equivalents in the same run where there are any; nothing here asserts a time."""
