#!/bin/sh
# Fuzzes everything that parses bytes, one target after another: scripts/fuzz.sh [seconds per target] [target...]
set -eu
cd "$(dirname "$0")/.."
seconds=${1:-60}
[ $# -gt 0 ] && shift
targets=${*:-safetensors program recipe}
build=build-fuzz
cmake -S . -B "$build" -DIRODORI_FUZZ=ON -DCMAKE_BUILD_TYPE=RelWithDebInfo >/dev/null
cmake --build "$build" --target irodori_fuzz -j "${JOBS:-2}"
for target in $targets; do
  echo "$target: $seconds s"
  program="$build/tests/fuzz/${target}_fuzz"
  seeds="tests/fuzz/seeds/$target"
  if grep -q 'CMAKE_CXX_COMPILER_ID "Clang"' "$build"/CMakeFiles/*/CMakeCXXCompiler.cmake; then
    mkdir -p "$build/corpus/$target"
    nice -n 15 "$program" -max_total_time="$seconds" -print_final_stats=1 "$build/corpus/$target" "$seeds"
  else
    nice -n 15 "$program" --seconds "$seconds" "$seeds"
  fi
done
