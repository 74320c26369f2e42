#!/bin/sh
# Runs once in a new PostgreSQL container: the tier's three roles, and its database for them alone.
# Wants TIER, OWNER_PASSWORD, APP_PASSWORD and SYSTEM_PASSWORD; the image gives POSTGRES_USER.
set -eu
psql --set=ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres \
  --set=tier="$TIER" --set=owner="${TIER}_owner" --set=app="${TIER}_app" --set=system="${TIER}_system" \
  --set=owner_password="$OWNER_PASSWORD" --set=app_password="$APP_PASSWORD" --set=system_password="$SYSTEM_PASSWORD" <<'SQL'
CREATE ROLE :"owner"  LOGIN NOSUPERUSER NOBYPASSRLS PASSWORD :'owner_password';
CREATE ROLE :"app"    LOGIN NOSUPERUSER NOBYPASSRLS PASSWORD :'app_password';
CREATE ROLE :"system" LOGIN NOSUPERUSER NOBYPASSRLS PASSWORD :'system_password';
CREATE DATABASE :"tier" OWNER :"owner";
REVOKE CONNECT, TEMPORARY ON DATABASE :"tier" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"tier" TO :"owner", :"app", :"system";
SQL
