"""The private names of Faust, mode and aiokafka that the product was written against: what an upgrade must still have."""

from collections.abc import Mapping

PINNED = {"faust-streaming": "0.15.3", "mode-streaming": "0.7.1", "aiokafka": "0.14.0"}
"""The versions whose private names these are. The contract test compares them with what is installed."""

RELIED_ON: Mapping[str, str] = {
    # Overridden in faust, with the signature we must keep.
    "faust.transport.consumer:Consumer.getmany": "(self, timeout)",
    "faust.transport.consumer:Consumer.ack": "(self, message)",
    "faust.transport.consumer:Consumer.on_buffer_full": "(self, tp)",
    "faust.transport.consumer:Consumer.perform_seek": "(self)",
    "faust.transport.consumer:Consumer.on_partitions_revoked": "(self, revoked)",
    "faust.transport.consumer:Consumer.on_partitions_assigned": "(self, assigned, generation_id=0)",
    "faust.transport.consumer:Consumer.verify_all_partitions_active": "(self)",
    "faust.transport.consumer:Consumer._new_offset": "(self, tp)",
    "faust.transport.consumer:Consumer._add_gap": "(self, tp, offset_from, offset_to)",
    "faust.transport.consumer:Consumer._commit_offsets": ("(self, offsets, start_new_transaction=True)"),
    "faust.transport.drivers.aiokafka:Consumer._new_consumer_thread": "(self)",
    "faust.transport.drivers.aiokafka:Consumer.on_stop": "(self)",
    "faust.transport.drivers.aiokafka:AIOKafkaConsumerThread.on_start": "(self)",
    "faust.transport.drivers.aiokafka:AIOKafkaConsumerThread.on_thread_stop": "(self)",
    "faust.transport.drivers.aiokafka:AIOKafkaConsumerThread._create_worker_consumer": ("(self, transport)"),
    "faust.transport.drivers.aiokafka:Producer._settings_extra": "(self)",
    "faust.transport.drivers.aiokafka:Producer.flush": "(self)",
    "faust.transport.drivers.aiokafka:Producer.on_stop": "(self)",
    "faust.serializers.schemas:Schema.loads_key": ("(self, app, message, *, loads=None, serializer=None)"),
    "faust.serializers.schemas:Schema.loads_value": ("(self, app, message, *, loads=None, serializer=None)"),
    "faust.app.base:App.on_first_start": "(self)",
    "faust.app.base:App.on_stop": "(self)",
    "faust.tables.manager:TableManager.on_start": "(self)",
    "mode.services:Service.stop": "(self)",
    "mode.services:Service.wait_first": "(self, *coros, timeout=None)",
    "mode.threads:ServiceThread._gather_remaining_tasks": "(self)",
    "mode.threads:ServiceThread._keepalive2": "(self)",
    "mode.threads:ServiceThread.on_crash": "(self, msg, *fmt, **kwargs)",
    "mode.threads:QueueServiceThread.call_thread": "(self, fun, *args, **kwargs)",
    # Called or replaced.
    "faust.tables.manager:TableManager._update_channels": "(self)",
    "faust.transport.consumer:Consumer._wait_next_records": "(self, timeout)",
    "faust.transport.consumer:Consumer.commit": "(self, topics=None, start_new_transaction=True)",
    "aiokafka.consumer.fetcher:Fetcher._proc_fetch_request": "(self, assignment, node_id, request)",
    "faust.transport.consumer:Consumer.stop_flow": "(self)",
    "faust.transport.consumer:ThreadDelegateConsumer.seek_wait": "(self, partitions)",
    "faust.transport.consumer:ThreadDelegateConsumer.earliest_offsets": "(self, *partitions)",
    "faust.transport.consumer:ThreadDelegateConsumer.highwaters": "(self, *partitions)",
    "faust.transport.consumer:ThreadDelegateConsumer.highwater": "(self, tp)",
    "faust.transport.consumer:ThreadDelegateConsumer.assignment": "(self)",
    "faust.transport.drivers.aiokafka:Consumer._to_message": "(self, tp, record)",
    "faust.transport.drivers.aiokafka:AIOKafkaConsumerThread._ensure_consumer": "(self)",
    "faust.transport.drivers.aiokafka:server_list": "(urls, default_port)",
    "faust.transport.drivers.aiokafka:credentials_to_aiokafka_auth": ("(credentials=None, ssl_context=None)"),
    "faust.transport.base:Transport.__init__": "(self, url, app, loop=None)",
    "faust.types.tuples:ConsumerMessage.on_final_ack": "(self, consumer)",
    "faust.types.tuples:Message.__init__": (
        "(self, topic, partition, offset, timestamp, timestamp_type, headers, key, value, checksum,"
        " serialized_key_size=None, serialized_value_size=None, tp=None, time_in=None,"
        " time_out=None, time_total=None, generation_id=None)"
    ),
    "mode.services:Service.crash": "(self, reason)",
    "mode.threads:ServiceThread.__init__": "(self, *, executor=None, loop=None, thread_loop=None, Worker=None, **kwargs)",
    "mode.threads:ServiceThread._serve": "(self)",
    "mode.threads:ServiceThread.set_shutdown": "(self)",
    "mode.threads:ServiceThread.start": "(self)",
    "mode.threads:ServiceThread.stop": "(self)",
    "mode.services:Service.wait_until_stopped": "(self)",
    "mode.services:Service.itertimer": (
        "(self, interval, *, max_drift_correction=0.1, sleep=None, clock=perf_counter, name='')"
    ),
    "mode.utils.queues:FlowControlEvent.suspend": "(self)",
    "mode.utils.queues:FlowControlEvent.clear": "(self)",
    "aiokafka.consumer.group_coordinator:GroupCoordinator._do_commit_offsets": "(self, assignment, offsets)",
    "aiokafka.consumer.group_coordinator:GroupCoordinator._do_rejoin_group": "(self, subscription)",
    "aiokafka.consumer.group_coordinator:GroupCoordinator._do_heartbeat": "(self)",
    "aiokafka.consumer.group_coordinator:GroupCoordinator._on_join_complete": (
        "(self, generation, member_id, protocol, member_assignment_bytes)"
    ),
    "aiokafka.coordinator.assignors.abstract:AbstractPartitionAssignor.assign": "(cluster, members)",
    "aiokafka.coordinator.assignors.abstract:AbstractPartitionAssignor.metadata": "(topics)",
    "aiokafka.coordinator.assignors.abstract:AbstractPartitionAssignor.on_assignment": "(assignment)",
    "aiokafka.coordinator.protocol:ConsumerProtocolMemberAssignment.partitions": "(self)",
    "aiokafka.cluster:ClusterMetadata.partitions_for_topic": "(self, topic)",
    # Replaced in kafka/batches.py.
    "aiokafka.consumer.fetcher:FetchResult.getall": "(self, max_records=None)",
    "aiokafka.consumer.fetcher:FetchResult.check_assignment": "(self, tp)",
    "aiokafka.consumer.fetcher:FetchResult.has_more": "(self)",
    "aiokafka.consumer.fetcher:FetchResult._update_position": "(self)",
}
"""module:qualified name -> the parameters, without annotations, that the product was written against."""

RELIED_ON_ATTRIBUTES: Mapping[str, tuple[str, ...]] = {
    "faust.transport.consumer:Consumer": (
        "_acked",
        "_committed_offset",
        "_read_offset",
        "_unacked_messages",
        "_buffered_partitions",
        "flow_active",
        "scheduler",
    ),
    "faust.transport.drivers.aiokafka:AIOKafkaConsumerThread": ("_consumer", "_assignor"),
    "faust.transport.drivers.aiokafka:Producer": ("_producer",),
    "faust.app.base:App": ("_consumer", "_producer", "consumer_generation_id"),
    "faust.streams": ("_CStreamIterator",),
    "aiokafka.consumer.consumer:AIOKafkaConsumer": ("_client", "_closed", "_coordinator", "_fetcher"),
    "aiokafka.consumer.fetcher:Fetcher": ("_fetch_task", "_pending_tasks", "_records", "MemoryRecords"),
    "aiokafka.coordinator.protocol:ConsumerProtocolMemberMetadata": ("version", "subscription", "user_data"),
    "aiokafka.coordinator.protocol:ConsumerProtocolMemberAssignment": ("version", "assignment", "user_data"),
    "aiokafka.consumer.group_coordinator:GroupCoordinator": (
        "_commit_refresh_task",
        "_coordination_task",
        "_heartbeat_task",
        "_pending_exception",
        "_performed_join_prepare",
        "member_id",
    ),
    "aiokafka.producer.producer:AIOKafkaProducer": ("_sender", "client"),
    "aiokafka.producer.sender:Sender": ("sender_task",),
    "aiokafka.consumer.fetcher:FetchResult": ("_partition_records", "_topic_partition"),
    "aiokafka.consumer.fetcher:PartitionRecords": ("_records", "_check_crcs", "next_fetch_offset"),
}
"""Attributes read or set on instances; the contract test looks for them in the class's source."""
