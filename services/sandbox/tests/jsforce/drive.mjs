// Drives the sandbox with jsforce. Arguments: base URL. Exits 0 if all is as a real organisation would have it.
import assert from 'node:assert/strict';
import jsforce from 'jsforce';

const base = process.argv[2];
const version = '62.0';
const oauth2 = {
  loginUrl: base,
  clientId: 'sandbox-client',
  clientSecret: 'sandbox-secret',
};
const steps = [];
const step = (name, run) => steps.push([name, run]);
const refused = async (code, promise) => {
  const error = await promise.then(() => assert.fail(`expected ${code}`), (e) => e);
  assert.equal(error.errorCode ?? error.name, code, String(error));
  return error;
};
const state = {};
let conn;

step('logs in by client credentials', async () => {
  conn = new jsforce.Connection({ oauth2, loginUrl: base, instanceUrl: base, version });
  const user = await conn.authorize({ grant_type: 'client_credentials' });
  assert.match(user.id, /^005.{15}$/);
  assert.match(user.organizationId, /^00D.{15}$/);
});

step('refreshes an expired token by itself, and retries', async () => {
  const refreshing = new jsforce.Connection({
    oauth2, instanceUrl: base, accessToken: 'stale', refreshToken: 'sandbox-refresh-token', version,
  });
  let refreshed = 0;
  refreshing.on('refresh', () => { refreshed += 1; });
  const { totalSize } = await refreshing.query('SELECT COUNT() FROM Contact');
  assert.equal(totalSize, 450);
  assert.equal(refreshed, 1);
  await fetch(`${base}/admin/expire-tokens`, { method: 'POST' });
  await refreshing.query('SELECT Id FROM Contact LIMIT 1');
  assert.equal(refreshed, 2);
  await conn.authorize({ grant_type: 'client_credentials' });
});

step('a wrong secret is refused', async () => {
  const wrong = new jsforce.Connection({ oauth2: { ...oauth2, clientSecret: 'x' }, loginUrl: base, version });
  await refused('invalid_client', wrong.authorize({ grant_type: 'client_credentials' }));
});

step('lists and describes objects', async () => {
  const { sobjects } = await conn.describeGlobal();
  assert.deepEqual(sobjects.map((s) => s.name), ['Account', 'Contact', 'Opportunity', 'User']);
  const contact = await conn.describe('Contact');
  const field = (name) => contact.fields.find((f) => f.name === name);
  assert.equal(field('UpwriteKey__c').externalId, true);
  assert.equal(field('Account_Rating__c').calculated, true);
  assert.deepEqual(field('AccountId').referenceTo, ['Account']);
  assert.equal(field('MailingCity').compoundFieldName, 'MailingAddress');
  const limits = await conn.request('/limits');
  assert.ok(limits.DailyApiRequests.Remaining < limits.DailyApiRequests.Max);
  assert.ok(conn.limitInfo.apiUsage.used > 0);
});

step('pages through a query', async () => {
  const first = await conn.query('SELECT Id, Email FROM Contact ORDER BY Id', {
    autoFetch: false, headers: { 'Sforce-Query-Options': 'batchSize=200' },
  });
  assert.deepEqual([first.totalSize, first.done, first.records.length], [450, false, 200]);
  const second = await conn.queryMore(first.nextRecordsUrl);
  const third = await conn.queryMore(second.nextRecordsUrl);
  assert.deepEqual([third.done, third.records.length], [true, 50]);
  const ids = [first, second, third].flatMap((page) => page.records.map((r) => r.Id));
  assert.equal(new Set(ids).size, 450);
});

step('builds conditions of its own', async () => {
  const stamp = new Date(Date.now() - 5 * 365 * 86400 * 1000);
  const found = await conn.sobject('Contact')
    .find({ LastName: { $like: 'M%' }, CreatedDate: { $gte: jsforce.SfDate.toDateTimeLiteral(stamp) } },
      ['Id', 'LastName', 'Account.Name', 'Account.Owner.Name'])
    .sort({ LastName: 1 }).limit(5);
  assert.ok(found.length > 0);
  assert.ok(found.every((c) => c.LastName.startsWith('M') && c.Account.Owner.Name));
  assert.equal(await conn.sobject('Account').count({ Name: null }), 0);
});

step('creates, retrieves, updates, upserts and deletes one record', async () => {
  const contact = conn.sobject('Contact');
  const made = await contact.create({ LastName: 'Ōe', Email: 'oe@mail.example', Birthdate: '1990-02-28' });
  assert.equal(made.success, true);
  assert.equal(made.id.length, 18);
  const read = await contact.retrieve(made.id);
  assert.deepEqual([read.Name, read.Birthdate, read.IsDeleted, read.DoNotCall], ['Ōe', '1990-02-28', false, false]);
  assert.match(read.SystemModstamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000\+0000$/);
  const changed = await contact.update({ Id: made.id, Title: 'Author', Email: null });
  assert.equal(changed.success, true);
  const again = await contact.retrieve(made.id);
  assert.deepEqual([again.Title, again.Email], ['Author', null]);
  const upserted = await contact.upsert({ UpwriteKey__c: 'js-1', LastName: 'Keyed' }, 'UpwriteKey__c');
  assert.equal(upserted.success, true);
  const twice = await contact.upsert({ UpwriteKey__c: 'js-1', FirstName: 'Twice' }, 'UpwriteKey__c');
  assert.equal(twice.success, true);
  const [keyed] = await contact.find({ UpwriteKey__c: 'js-1' }, ['Id', 'Name']);
  assert.equal(keyed.Name, 'Twice Keyed');
  const gone = await contact.destroy(made.id);
  assert.equal(gone.success, true);
  await refused('ENTITY_IS_DELETED', contact.retrieve(made.id));
  const binned = await conn.query(`SELECT Id FROM Contact WHERE Id = '${made.id}'`, { scanAll: true });
  assert.equal(binned.totalSize, 1);
  const span = [new Date(Date.now() - 60_000), new Date(Date.now() + 60_000)];
  const { deletedRecords } = await contact.deleted(...span);
  assert.ok(deletedRecords.some((r) => r.id === made.id));
  const { ids } = await contact.updated(...span);
  assert.ok(ids.includes(keyed.Id));
  state.account = (await conn.sobject('Account').create({ Name: 'JS Ltd' })).id;
});

step('changes many records in one call', async () => {
  const contact = conn.sobject('Contact');
  const made = await contact.create([{ LastName: 'One' }, { FirstName: 'No last name' }, { LastName: 'Three' }]);
  assert.deepEqual(made.map((r) => r.success), [true, false, true]);
  assert.equal(made[1].errors[0].statusCode, 'REQUIRED_FIELD_MISSING');
  assert.deepEqual(made[1].errors[0].fields, ['LastName']);
  const none = await contact.create([{ LastName: 'A' }, { LastName: 'B', Email: 'nonsense' }], { allOrNone: true });
  assert.deepEqual(none.map((r) => r.errors[0].statusCode),
    ['ALL_OR_NONE_OPERATION_ROLLED_BACK', 'INVALID_EMAIL_ADDRESS']);
  assert.equal((await contact.find({ LastName: 'A' }, ['Id'])).length, 0);
  const ids = [made[0].id, made[2].id];
  const read = await contact.retrieve(ids);
  assert.deepEqual(read.map((r) => r.LastName), ['One', 'Three']);
  const updated = await contact.update(ids.map((Id) => ({ Id, AccountId: state.account })));
  assert.ok(updated.every((r) => r.success));
  const upserted = await contact.upsert(
    [{ UpwriteKey__c: 'js-1', Title: 'x' }, { UpwriteKey__c: 'js-2', LastName: 'New' }], 'UpwriteKey__c');
  assert.deepEqual(upserted.map((r) => r.created), [false, true]);
  const destroyed = await contact.destroy(ids);
  assert.ok(destroyed.every((r) => r.success));
  const many = Array.from({ length: 500 }, (_, n) => ({ LastName: `Many ${n}` }));
  const all = await contact.create(many, { allowRecursive: true });
  assert.equal(all.filter((r) => r.success).length, 500);
});

step('composes requests that refer to each other', async () => {
  const url = `/services/data/v${version}`;
  const { compositeResponse } = await conn.request({
    method: 'POST', url: `${url}/composite`, headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      allOrNone: true,
      compositeRequest: [
        { method: 'POST', url: `${url}/sobjects/Account`, referenceId: 'a', body: { Name: 'Composed' } },
        { method: 'POST', url: `${url}/sobjects/Contact`, referenceId: 'c', body: { LastName: 'C', AccountId: '@{a.id}' } },
        { method: 'GET', url: `${url}/sobjects/Contact/@{c.id}?fields=Name,AccountId`, referenceId: 'r' },
      ],
    }),
  });
  assert.deepEqual(compositeResponse.map((r) => r.httpStatusCode), [201, 201, 200]);
  assert.equal(compositeResponse[2].body.AccountId, compositeResponse[0].body.id);
});

step('is refused in the vendor\'s words', async () => {
  const contact = conn.sobject('Contact');
  await refused('REQUIRED_FIELD_MISSING', contact.create({ FirstName: 'x' }));
  await refused('STRING_TOO_LONG', contact.create({ LastName: 'x'.repeat(81) }));
  await refused('INVALID_FIELD', contact.create({ LastName: 'x', Nope__c: 1 }));
  await refused('MALFORMED_ID', contact.create({ LastName: 'x', AccountId: 'nope' }));
  await refused('INVALID_FIELD', conn.query('SELECT Nope FROM Contact'));
  await refused('INVALID_TYPE', conn.query('SELECT Id FROM Nope'));
  await refused('MALFORMED_QUERY', conn.query('SELECT Id FROM'));
  await refused('NOT_FOUND', conn.sobject('Nope').describe());
  const deal = { Name: 'D', StageName: 'Prospecting', CloseDate: '2030-01-01', AccountId: state.account };
  await refused('FIELD_CUSTOM_VALIDATION_EXCEPTION', conn.sobject('Opportunity').create({ ...deal, Amount: -1 }));
  await conn.sobject('Opportunity').create(deal);
  await refused('DELETE_FAILED', conn.sobject('Account').destroy(state.account));
  await refused('DUPLICATE_VALUE', contact.create({ LastName: 'x', UpwriteKey__c: 'js-1' }));
});

for (const [name, run] of steps) {
  try {
    await run();
    console.log(`ok ${name}`);
  } catch (error) {
    console.error(`not ok ${name}:`, error);
    process.exit(1);
  }
}
