"""The project's own figures, measured on real Kafka and compared within one run."""
