"""spark_top_ten.py BROKERS TOPIC TRIGGER NAME=VALUE...: sums and top ten as a Spark user writes them. TRIGGER is a
processing time, or `available`: all that there is, then end. Values are Spark's settings, or of the Kafka source if they do
not begin with `spark.`."""

import json
import sys

from pyspark.sql import SparkSession

brokers, topic, trigger = sys.argv[1:4]
settings = dict(argument.split("=", 1) for argument in sys.argv[4:])
builder = SparkSession.builder
for name, value in settings.items():
    if name.startswith("spark."):
        builder = builder.config(name, value)
spark = builder.getOrCreate()
spark.sparkContext.setLogLevel("ERROR")

source = spark.readStream.format("kafka").option("kafka.bootstrap.servers", brokers).option("subscribe", topic)
source = source.option("startingOffsets", "earliest")
for name, value in settings.items():
    if not name.startswith("spark."):
        source = source.option(name, value)
# The literals are DECIMALs, so all of it is exact.
scores = (source.load()
          .selectExpr(r"split(CAST(value AS STRING), '\\|') AS field")
          .selectExpr("field[0] AS page", "0.8 * CAST(field[1] AS INT) + 0.8 * CAST(field[2] AS DECIMAL(10, 7)) "
                      "+ CAST(field[3] AS INT) AS contribution")
          .groupBy("page").sum("contribution").toDF("page", "score"))


def publish(batch, _):
    top = batch.orderBy(batch.score.desc(), batch.page).limit(10).collect()
    print(json.dumps([[row.page, str(row.score)] for row in top]), flush=True)


query = scores.writeStream.outputMode("complete").foreachBatch(publish)
query = query.trigger(availableNow=True) if trigger == "available" else query.trigger(processingTime=trigger)
query.start().awaitTermination()
