#!/usr/bin/env bash
# The complete path on a simulated platform of 2,000 users, at most 10 minutes on 2 cores.
# Run by `make quickstart`; every line is a command to copy. Settings: configs/train/quickstart.flags.
set -euo pipefail

RUN=${VENV:-.venv}/bin/python
WORK=${WORK:-work/quickstart}
export TF_CPP_MIN_LOG_LEVEL=${TF_CPP_MIN_LOG_LEVEL:-2}

step() { printf '\n== %s\n' "$*"; }

rm -rf "$WORK"
mkdir -p "$WORK"

step "1/7 simulate a platform with 2,000 users: behavior log"
$RUN -m data_pipeline.simulate --users=2000 --world.words=readable --output="$WORK/log"

step "2/7 prepare: log -> dataset"
$RUN -m data_pipeline.prepare --log="$WORK/log" --output="$WORK/dataset" --text.width=32

step "3/7 pre-train on both tasks, then fine-tune a copy for each"
$RUN -m user_tf.train --flagfile=configs/train/quickstart.flags \
  --data.dataset="$WORK/dataset" --run="$WORK/run"

step "4/7 export a SavedModel for TensorFlow Serving"
$RUN -m user_tf.export --run="$WORK/run" --log="$WORK/log" --output="$WORK/model"

step "5/7 rank one example from raw strings, with the SavedModel alone"
$RUN -m user_tf.predict --model="$WORK/model" \
  --requests="$WORK/model/1/assets.extra/example_request.jsonl" --output="$WORK/scores.jsonl"

step "6/7 evaluate on the test split, complete lists, with heuristic baselines"
$RUN -m data_pipeline.truth --log="$WORK/log" --dataset="$WORK/dataset" --output="$WORK/truth.parquet"
$RUN -m user_tf.evaluate --run="$WORK/run" --split=test --truth="$WORK/truth.parquet"

step "7/7 USER+, a ranker beyond the paper, on the same dataset"
$RUN -m user_tf.train --flagfile=configs/train/user_plus.flags --model.width=32 \
  --train.pretrain_epochs=2 \
  --data.dataset="$WORK/dataset" --run="$WORK/user_plus"
$RUN -m user_tf.evaluate --run="$WORK/user_plus" --split=test --truth="$WORK/truth.parquet"

cat <<END

Made in $WORK:
  log/          behavior log (Parquet)        dataset/      windows, vocabulary, manifest
  run/          settings, checkpoints, best weights, TensorBoard, evaluation/
  model/        SavedModel for TensorFlow Serving
  user_plus/    the same for USER+              scores.jsonl  the example's ranking
Next: see it rank, on a page of this machine (pip install '.[explore]' where it is missing):
  $RUN -m user_tf.explore --run=$WORK/run,$WORK/user_plus --log=$WORK/log --model=$WORK/model
then tensorboard --logdir $WORK/run/tensorboard; docs/own_logs.md
END
