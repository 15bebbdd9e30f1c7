"""Prefill that computes shared beginnings once."""
