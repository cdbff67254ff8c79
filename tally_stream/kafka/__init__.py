"""Everything that speaks to Kafka: clients, topics and their checks, and the embedded broker.

The only package that imports confluent-kafka and, but for `stream/faust/`, aiokafka. It moves
bytes and knows nothing of elections; read `client.py` first, then `topics.py`.
"""
