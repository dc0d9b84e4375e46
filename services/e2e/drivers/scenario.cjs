// The scenario by node-postgres: node scenario.cjs URL
const assert = require('node:assert/strict');
const { Client, Pool } = require('pg');

const url = process.argv[2];

async function refused(client, code, sql, params) {
  await assert.rejects(client.query(sql, params), (error) => {
    assert.equal(error.code, code, `${error.code}: ${error.message}`);
    refused.last = error;
    return true;
  });
  return refused.last;
}

async function main() {
  const client = new Client({ connectionString: url });
  await client.connect();
  const one = async (sql, params) => (await client.query(sql, params)).rows[0];

  assert.equal((await one('select count(*)::int as n from salesforce.contact')).n, 20);
  const account = (await one('select id from salesforce.account order by id limit 1')).id;
  await client.query('select * from salesforce.contact where account_id = $1 limit 100', [account]);
  await client.query('select a.name, c.last_name from salesforce.account a join salesforce.contact c on c.account_id = a.id');

  const inserted = await client.query(
    'insert into salesforce.contact (first_name, last_name, email) values ($1, $2, $3) returning id, first_name',
    ['Ada', 'Lovelace', 'ada@node.example'],
  );
  assert.equal(inserted.rowCount, 1);
  const ada = inserted.rows[0].id;
  assert.match(ada, /^003.{15}$/);
  assert.equal((await client.query("insert into salesforce.contact (last_name) values ('Plain')")).rowCount, 1);
  const updated = await client.query('update salesforce.contact set title = $1 where id = $2 returning title', ['Countess', ada]);
  assert.deepEqual(updated.rows, [{ title: 'Countess' }]);
  assert.equal((await client.query("update salesforce.contact set title = 'x' where id = 'none'")).rowCount, 0);

  for (let n = 0; n < 5; n++) {
    const prepared = await client.query({
      name: 'add',
      text: 'insert into salesforce.contact (last_name, email) values ($1, $2) returning id',
      values: [`Prepared ${n}`, `p${n}@node.example`],
    });
    assert.match(prepared.rows[0].id, /^003/);
  }

  const many = await client.query(
    "insert into salesforce.contact (last_name, email) select 'Row ' || n, 'row' || n || '@node.example' from generate_series(1, $1::int) n",
    [500],
  );
  assert.equal(many.rowCount, 500);
  assert.equal((await one("select count(*)::int as n from salesforce.contact where email like 'row%@node.example'")).n, 500);

  const missing = await refused(client, '23502', "insert into salesforce.contact (first_name) values ('x')");
  assert.deepEqual([missing.schema, missing.table, missing.column], ['salesforce', 'contact', 'last_name']);
  await refused(client, '23514', "update salesforce.opportunity set stage_name = 'No such stage' where id = (select min(id) from salesforce.opportunity)");
  await refused(client, '0A000', 'truncate salesforce.contact');

  await client.query('call public.rename($1, $2)', [ada, 'King']);
  assert.equal((await one('select last_name from salesforce.contact where id = $1', [ada])).last_name, 'King');
  assert.equal((await client.query('delete from salesforce.contact where id = $1', [ada])).rowCount, 1);

  await client.query('begin');
  const block = (await one("insert into salesforce.contact (last_name) values ('Block') returning id")).id;
  assert.equal((await one('select last_name from salesforce.contact where id = $1', [block])).last_name, 'Block');
  await client.query('commit');
  await client.query('begin');
  await refused(client, '23502', "insert into salesforce.contact (first_name) values ('x')");
  await refused(client, '25P02', 'select 1');
  await client.query('rollback');
  await client.end();

  // Many at once, through a pool.
  const pool = new Pool({ connectionString: url, max: 5 });
  const ids = await Promise.all(
    Array.from({ length: 20 }, (_, n) =>
      pool.query('insert into salesforce.contact (last_name) values ($1) returning id', [`Pool ${n}`])),
  );
  assert.equal(new Set(ids.map((result) => result.rows[0].id)).size, 20);
  await pool.end();
  console.log('all steps passed');
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
