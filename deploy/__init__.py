"""What surrounds ratestream where it runs: its image, ClickHouse's users, and servers for tests and development."""
