"""Messages that failed for good: ``letter`` says what they become, and what they were."""
