"""What psycopg's pipelines and asyncpg's one-row fetches need. Arguments: port, database, user, password."""

import asyncio
import sys

import asyncpg
import psycopg

port, database, user, password = sys.argv[1:]
INSERT = "INSERT INTO sf.contact (last_name, n) VALUES ({}, {}) RETURNING id, last_name"


def with_psycopg():
    with psycopg.connect(host="127.0.0.1", port=port, dbname=database, user=user, password=password) as connection:
        with connection.cursor() as cursor:
            cursor.executemany(INSERT.format("%s", "%s"), [(f"P{n}", n) for n in range(5)], returning=True)
            names = []
            while True:
                names.append(cursor.fetchone()[1])
                if not cursor.nextset():
                    break
            assert names == [f"P{n}" for n in range(5)], names
        connection.commit()
        with connection.pipeline():
            first = connection.execute(INSERT.format("%s", "%s"), ("Q1", 1))
            second = connection.execute(INSERT.format("%s", "%s"), ("Q2", 2))
            assert second.fetchone()[1] == "Q2"
            assert first.fetchone()[1] == "Q1"
        connection.commit()
        try:
            connection.execute(INSERT.format("%s", "%s"), ("Refused", 0))
            raise AssertionError("refused")
        except psycopg.errors.CheckViolation as error:
            assert error.diag.column_name == "last_name", error.diag.column_name
        connection.rollback()


async def with_asyncpg():
    connection = await asyncpg.connect(
        host="127.0.0.1", port=port, database=database, user=user, password=password, ssl="require"
    )
    row = await connection.fetchrow(INSERT.format("$1", "$2"), "A1", 1)
    assert row["last_name"] == "A1"
    assert (await connection.fetchval(INSERT.format("$1", "$2"), "A2", 2)).startswith("003")
    assert await connection.execute("UPDATE sf.contact SET n = $1 WHERE last_name = $2", 7, "A2") == "UPDATE 1"
    async with connection.transaction():
        await connection.executemany("INSERT INTO sf.contact (last_name) VALUES ($1)", [("B1",), ("B2",)])
        async for row in connection.cursor("SELECT n FROM generate_series(1, 250) n", prefetch=100):
            pass
    try:
        await connection.fetchrow(INSERT.format("$1", "$2"), "Refused", 0)
        raise AssertionError("refused")
    except asyncpg.CheckViolationError as error:
        assert error.column_name == "last_name"
    await connection.execute("CREATE TABLE note (text text)")
    assert await connection.copy_records_to_table("note", records=[("x",), ("y",)]) == "COPY 2"
    await connection.reset()
    assert await connection.fetchval("SELECT count(*) FROM sf.contact WHERE last_name LIKE 'B_'") == 2
    await connection.close()


with_psycopg()
asyncio.run(with_asyncpg())
print("done")
