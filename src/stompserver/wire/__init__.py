"""Bytes to frames and back: STOMP's text and nothing else."""
