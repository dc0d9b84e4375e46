#!/bin/sh
# Lists a topic's records: partition, offset, key, headers, size of the value. kcat tells what is where without a schema;
# a build with Avro support shows values too: add  -s value=avro -r http://localhost:8080/apis/ccompat/v7
#
#   consume.sh localhost:9092 upwrite.mutations
set -eu
brokers=$1
topic=$2
shift 2
exec kcat -C -q -e -b "$brokers" -t "$topic" -o beginning -X isolation.level=read_committed \
    -f '%p %o %k %h %S\n' "$@"
