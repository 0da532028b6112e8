#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Asks all questions, one after the other, and prints one table of the ratios beside their goals.
# Samples and the table stay in benchmarks/results/. Takes about twenty minutes on two quiet CPUs.
# Run: sh benchmarks/run.sh <build dir>/benchmarks [arguments for each, e.g. --rounds 15]
set -eu

folder=$1
shift
results=$(dirname "$0")/results
table=$results/table.tsv
BENCHMARKS_COMMIT=$(git -C "$(dirname "$0")" describe --always --dirty 2>/dev/null || echo unknown)
export BENCHMARKS_COMMIT

mkdir -p "$results"
rm -f "$table"
for question in dispatch stream table start spill results progress cancel rest hash compress cache; do
    case $question in
    spill | rest) fewer="--rounds 5" ;; # the dearest, and the steadiest
    *) fewer= ;;
    esac
    # One that fails costs its own rows only.
    # shellcheck disable=SC2086 # two words or none
    "$folder/bench_$question" $fewer --csv "$results/$question.csv" --table "$table" "$@" ||
        echo "# $question: ended with status $?" >>"$table"
    echo
done

awk -F '\t' '
    function line(a, b, c, d, e, f) { printf "%-66s %14s %14s %8s %8s  %s\n", a, b, c, d, e, f }
    BEGIN { line("quantity", "ours", "peer", "ratio", "goal", "reached") }
    /^#/ { notes = notes substr($0, 3) "\n"; next }
    { line($1, $2, $3, $4, $5, $6) }
    $6 == "yes" { yes++ }
    $6 == "no" || $6 == "not measured" { no++ }
    END { if (notes ~ / [1-9][0-9]+ %/) notes = notes "Above 10 % the figures are not to be trusted.\n"
          printf "\n%d goals reached, %d not\n%s", yes, no, notes }
' "$table"
