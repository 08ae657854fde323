"""The local stack: real servers that keep what they took, and say in one sentence why they cannot start."""

import asyncio
import socket

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from parley.local import Places, Stack, StackError, free_port

pytestmark = pytest.mark.stack


async def write(stack: Stack) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=stack.kafka)
    await admin.start()
    await admin.create_topics([NewTopic("kept", 1, 1)])
    await admin.close()
    producer = AIOKafkaProducer(bootstrap_servers=stack.kafka, acks="all")
    await producer.start()
    await producer.send_and_wait("kept", b"record")
    await producer.stop()
    connection = await asyncpg.connect(stack.database)
    await connection.execute("CREATE TABLE kept AS SELECT 'row' AS what")
    await connection.close()


async def read(stack: Stack) -> tuple[bytes, str]:
    consumer = AIOKafkaConsumer("kept", bootstrap_servers=stack.kafka, auto_offset_reset="earliest")
    await consumer.start()
    record = await asyncio.wait_for(consumer.getone(), 20)
    await consumer.stop()
    connection = await asyncpg.connect(stack.database)
    row = await connection.fetchval("SELECT what FROM kept")
    await connection.close()
    return record.value, row


@pytest.mark.kills
def test_what_was_taken_survives_a_kill_and_a_clean_stop(tmp_path):
    """SIGKILL of both, a start that takes over, a clean stop; and no second stack beside the first."""

    async def main():
        places = Places(tmp_path, free_port(), free_port())
        stack = Stack(places)
        await stack.start()
        with pytest.raises(StackError, match="is running on .* already"):
            await Stack(places).start()
        await write(stack)
        await asyncio.gather(stack.kafka_server.kill(), stack.postgres_server.kill())
        await asyncio.gather(stack.kafka_server.start(), stack.postgres_server.start())
        found = await read(stack)
        await stack.stop()
        return found, stack.kafka_server.alive, stack.postgres_server.alive

    assert asyncio.run(main()) == ((b"record", "row"), False, False)


def test_a_busy_port_is_said_with_the_way_out(tmp_path):
    """One sentence: which port, for what, and the variable to set."""
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        with pytest.raises(StackError) as error:
            asyncio.run(Stack(Places(tmp_path, free_port(), port)).start())

    assert f"port {port} is in use, so PostgreSQL cannot start: stop what listens there, or set PARLEY_POSTGRES_PORT to another port" == str(
        error.value
    )
