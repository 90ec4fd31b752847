"""Tests of `versions`."""
