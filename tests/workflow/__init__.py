"""Tests of `workflow`."""
