"""The scenario by psycopg 3: python scenario.py URL"""

import sys

import psycopg
from psycopg import errors

url = sys.argv[1]


def expect(what, found, wanted):
    if found != wanted:
        raise AssertionError(f"{what}: {found!r} instead of {wanted!r}")


def refused(connection, error, sql, *args):
    try:
        connection.execute(sql, args)
    except error as caught:
        return caught
    raise AssertionError(f"not refused: {sql}")


with psycopg.connect(url, autocommit=True) as connection:
    expect("contacts", connection.execute("select count(*) from salesforce.contact").fetchone(), (20,))
    account = connection.execute("select id from salesforce.account order by id limit 1").fetchone()[0]
    connection.execute("select * from salesforce.contact where account_id = %s limit 100", (account,)).fetchall()
    connection.execute(
        "select a.name, c.last_name from salesforce.account a join salesforce.contact c on c.account_id = a.id"
    ).fetchall()

    cursor = connection.execute(
        "insert into salesforce.contact (first_name, last_name, email) values (%s, %s, %s) returning id, first_name",
        ("Ada", "Lovelace", "ada@psycopg.example"),
    )
    expect("tag of insert", cursor.statusmessage, "INSERT 0 1")
    ada, name = cursor.fetchone()
    expect("id", (len(ada), ada[:3], name), (18, "003", "Ada"))
    cursor = connection.execute("insert into salesforce.contact (last_name) values (%s)", ("Plain",))
    expect("rows of insert", cursor.rowcount, 1)
    cursor = connection.execute(
        "update salesforce.contact set title = %s where id = %s returning title", ("Countess", ada)
    )
    expect("update returning", cursor.fetchall(), [("Countess",)])
    cursor = connection.execute("update salesforce.contact set title = title where id = %s", (ada,))
    expect("rows of an update that changes nothing", cursor.rowcount, 1)
    cursor = connection.execute("update salesforce.contact set title = 'x' where id = 'none'")
    expect("rows of an update that hits nothing", cursor.rowcount, 0)

    for number in range(8):  # prepared by psycopg after five times
        cursor = connection.execute(
            "insert into salesforce.contact (last_name, email) values (%s, %s) returning id",
            (f"Prepared {number}", f"p{number}@psycopg.example"),
            prepare=True,
        )
        expect("prepared insert", len(cursor.fetchone()[0]), 18)

    cursor = connection.execute(
        "insert into salesforce.contact (last_name, email)"
        " select 'Row ' || n, 'row' || n || '@psycopg.example' from generate_series(1, %s) n",
        (500,),
    )
    expect("rows of the large insert", cursor.rowcount, 500)
    count = connection.execute("select count(*) from salesforce.contact where email like 'row%@psycopg.example'")
    expect("rows that are there", count.fetchone(), (500,))

    error = refused(connection, errors.NotNullViolation, "insert into salesforce.contact (first_name) values ('x')")
    expect("column", (error.diag.schema_name, error.diag.table_name, error.diag.column_name),
           ("salesforce", "contact", "last_name"))
    refused(
        connection,
        errors.CheckViolation,
        "update salesforce.opportunity set stage_name = 'No such stage'"
        " where id = (select min(id) from salesforce.opportunity)",
    )
    refused(connection, errors.GeneratedAlways, "update salesforce.contact set id = 'other' where id = %s", ada)
    refused(connection, errors.FeatureNotSupported, "truncate salesforce.contact")

    connection.execute("call public.rename(%s, %s)", (ada, "King"))
    name = connection.execute("select last_name from salesforce.contact where id = %s", (ada,)).fetchone()
    expect("name given by the procedure", name, ("King",))
    cursor = connection.execute("delete from salesforce.contact where id = %s", (ada,))
    expect("rows of delete", cursor.rowcount, 1)
    expect("gone", connection.execute("select 1 from salesforce.contact where id = %s", (ada,)).fetchall(), [])

# psycopg's default: a transaction around everything.
with psycopg.connect(url) as connection:
    new = connection.execute(
        "insert into salesforce.contact (last_name, email) values ('Block', 'block@psycopg.example') returning id"
    ).fetchone()[0]
    seen = connection.execute("select last_name from salesforce.contact where id = %s", (new,)).fetchone()
    expect("own row inside the transaction", seen, ("Block",))
    connection.commit()
    try:
        connection.execute("insert into salesforce.contact (first_name) values ('x')")
    except errors.NotNullViolation:
        pass
    expect("status", connection.info.transaction_status, psycopg.pq.TransactionStatus.INERROR)
    refused(connection, errors.InFailedSqlTransaction, "select 1")
    connection.rollback()
    with connection.transaction():
        with connection.transaction():  # a savepoint
            connection.execute("update salesforce.contact set title = 'nested' where id = %s", (new,))
    title = connection.execute("select title from salesforce.contact where id = %s", (new,)).fetchone()
    expect("update under a savepoint", title, ("nested",))

print("all steps passed")
