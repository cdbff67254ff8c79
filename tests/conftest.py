"""The brokers, for every test folder; see broker/brokers.py."""

from broker.brokers import embedded_broker, kafka_one, kafka_three

__all__ = ["embedded_broker", "kafka_one", "kafka_three"]
