-- psql: simple queries, and PREPARE.
select 'contacts: ' || count(*) from salesforce.contact;
select count(*) from salesforce.contact c join salesforce.account a on a.id = c.account_id where c.account_id is not null limit 100;
insert into salesforce.contact (first_name, last_name, email) values ('Ada', 'Lovelace', 'ada@psql.example') returning id as ada \gset
select 'inserted id of 18 characters: ' || (length(:'ada') = 18 and :'ada' like '003%');
insert into salesforce.contact (last_name) values ('Plain');
update salesforce.contact set title = 'Countess' where id = :'ada' returning 'updated: ' || title;
call public.rename(:'ada', 'King');
select 'renamed by the procedure: ' || last_name from salesforce.contact where id = :'ada';
prepare add (text, text) as insert into salesforce.contact (first_name, last_name) values ($1, $2) returning 'prepared: ' || first_name;
execute add('Grace', 'Hopper');
insert into salesforce.contact (last_name, email) select 'Row ' || n, 'row' || n || '@psql.example' from generate_series(1, 500) n;
select 'rows: ' || count(*) from salesforce.contact where email like 'row%@psql.example';
-- Refused upstream: a standard error, and the connection goes on.
insert into salesforce.contact (first_name) values ('Nameless');
update salesforce.opportunity set stage_name = 'No such stage' where id = (select min(id) from salesforce.opportunity);
truncate salesforce.contact;
begin;
insert into salesforce.contact (last_name, email) values ('In a block', 'block@psql.example');
select 'transaction sees its own row: ' || count(*) from salesforce.contact where email = 'block@psql.example';
commit;
delete from salesforce.contact where id = :'ada';
select 'gone: ' || count(*) from salesforce.contact where id = :'ada';
select 'all steps passed';
