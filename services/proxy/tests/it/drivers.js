// What node-postgres and postgres.js send. Arguments: port, database, user, password.
const assert = require('node:assert')
const pg = require('pg')
const postgres = require('postgres')

const [port, database, user, password] = process.argv.slice(2)
const target = { host: '127.0.0.1', port: Number(port), database, user, password }
const INSERT = 'INSERT INTO sf.contact (last_name, n) VALUES ($1, $2) RETURNING id, last_name'

async function withPg() {
  const client = new pg.Client(target)
  await client.connect()
  const one = await client.query(INSERT, ['N1', 1])
  assert.equal(one.rows[0].last_name, 'N1')
  const named = { name: 'insert', text: INSERT }
  for (const name of ['N2', 'N3']) {
    assert.equal((await client.query({ ...named, values: [name, 2] })).rowCount, 1)
  }
  await assert.rejects(client.query(INSERT, ['Refused', 0]), { code: '23514', column: 'last_name' })
  await client.query('BEGIN')
  await client.query(INSERT, ['N4', 4])
  assert.equal((await client.query('COMMIT')).command, 'COMMIT')
  assert.equal((await client.query('SELECT count(*)::int AS n FROM sf.contact')).rows[0].n, 4)
  await client.end()
}

async function withPostgres() {
  const sql = postgres({ ...target, max: 2 })
  const [row] = await sql`INSERT INTO sf.contact (last_name) VALUES ('J1') RETURNING id, last_name`
  assert.equal(row.last_name, 'J1')
  await sql.begin(async sql => {
    await sql`INSERT INTO sf.contact ${sql([{ last_name: 'J2' }, { last_name: 'J3' }])}`
    const rows = []
    await sql`SELECT generate_series(1, 25) AS n`.cursor(10, part => { rows.push(...part) })
    assert.equal(rows.length, 25)
  })
  const many = await Promise.all([1, 2, 3].map(n => sql`UPDATE sf.contact SET n = ${n} WHERE last_name = ${'J' + n} RETURNING n`))
  assert.deepEqual(many.map(rows => rows[0].n), [1, 2, 3])
  await assert.rejects(sql`INSERT INTO sf.contact (last_name) VALUES ('Refused')`, { code: '23514' })
  await sql.end()
}

withPg().then(withPostgres).then(() => console.log('done'))
