"""Scans a fleet on Apache Spark: paths in, one record a path out, one inventory at the end.

    spark-submit scan_fleet.py --fleet /mnt/fleet --paths paths.txt --out inventory.json

The same `warmset` binary runs beside every worker. A task pipes its paths through `warmset scan FLEET --stdin --format
jsonl`. Spark runs a task again when its worker is lost, and what a lost task had printed is dropped with it. Records are
merged by key, so that a path that is listed twice counts once; `warmset merge` makes the inventory. Its bytes are those of

    warmset scan FLEET --stdin --out inventory.json < paths.txt

FLEET must be readable on every worker under the same name: a shared file system, or a mounted bucket (see docs/scale.md).
"""

import argparse
import shlex
import subprocess
import sys
from json.decoder import scanstring

from pyspark.sql import SparkSession


def arguments():
    parser = argparse.ArgumentParser(description="Scan a fleet of serverless functions on Spark.")
    parser.add_argument("--fleet", required=True, help="folder of the fleet, the same on every worker")
    parser.add_argument("--paths", required=True, help="file or folder that Spark can read: a path below the fleet a line")
    parser.add_argument("--out", required=True, help="inventory.json to write, on the driver")
    parser.add_argument("--records", help="also keep the records here, in any file system that Spark knows")
    parser.add_argument("--warmset", default="warmset", help="the binary, on every worker and on the driver")
    parser.add_argument("--scan-option", action="append", default=[], help="for warmset scan, as --scan-option=--python=3.12")
    parser.add_argument("--paths-per-task", type=int, default=500, help="so much is done again when a worker is lost")
    return parser.parse_args()


def piped(args):
    """The command of a task. Findings are in the records; a status above 0 is a failure, and the task runs again."""
    scan = [args.warmset, "--quiet", "scan", args.fleet, "--stdin", "--format", "jsonl", "--exit-zero"]
    return shlex.join([*scan, *args.scan_option])


def key(record):
    """The part of the fleet that a record is of. Quotes in JSON strings are escaped, so that this is found nowhere else."""
    before = '"parts":[{"part":"'
    return scanstring(record, record.index(before) + len(before))[0]


def main():
    args = arguments()
    spark = SparkSession.builder.appName("warmset scan").getOrCreate()
    paths = spark.sparkContext.textFile(args.paths).filter(lambda path: path.strip())
    paths = paths.distinct()
    tasks = max(paths.count() // args.paths_per_task, spark.sparkContext.defaultParallelism)
    records = paths.repartition(tasks).pipe(piped(args), checkCode=True)
    # Of two records of one path the one that comes first in the alphabet: a choice that does not depend on their order.
    records = records.map(lambda record: (key(record), record)).reduceByKey(min, tasks).values()
    if args.records:
        records.saveAsTextFile(args.records)
        records = spark.sparkContext.textFile(args.records)

    merge = [args.warmset, "--quiet", "merge", "-", "--out", args.out]
    with subprocess.Popen(merge, stdin=subprocess.PIPE) as child:
        # One partition at a time is on the driver; warmset keeps what the inventory holds.
        for record in records.toLocalIterator(prefetchPartitions=True):
            child.stdin.write(record.encode() + b"\n")
        child.stdin.close()
    spark.stop()
    # As with warmset: 1 tells of findings.
    sys.exit(child.returncode)


if __name__ == "__main__":
    main()
