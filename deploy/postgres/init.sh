#!/bin/sh
# Runs once, when the Postgres container makes its data: the application's role, and the schema registry's database.
set -eu

psql -v ON_ERROR_STOP=1 -v app="$APP_PASSWORD" -v registry="$REGISTRY_PASSWORD" -U postgres -d app <<'SQL'
CREATE ROLE app LOGIN PASSWORD :'app';
CREATE ROLE registry LOGIN PASSWORD :'registry';
CREATE DATABASE registry OWNER registry;
SQL
