#!/bin/sh
# Writes the password that docker-compose.yml demands into .env (or the file named), generated, readable by you alone.
# A password that is there already stays: the database keeps the one that it was made with.
set -eu
file=${1:-.env}
umask 077

if grep -qs '^VITRINE_DB_PASSWORD=.' "$file"; then
    echo "$file has a database password already; it stays."
    exit
fi
touch "$file"
chmod 600 "$file"
# 192 bits in letters and digits, which need no quoting anywhere.
password=$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')
[ ${#password} = 48 ]
# A file that somebody edited may lack its last newline.
[ -z "$(tail -c 1 "$file")" ] || echo >>"$file"
echo "VITRINE_DB_PASSWORD=$password" >>"$file"
echo "$file has a new database password."
