"""What surrounds ratestream where it runs: its image, and a Kafka broker for tests and development."""
