#!/usr/bin/env bash
# Everything that docs/attacks.md shows, for the models given: clean, attacks by radius, rotations and shifts, transfer,
# perturbations, and the page. Results are kept: the same command goes on where it stopped.
#
#   DATA=examples/shared_sheets.py:cifar10_test SHIFT=examples/shared_sheets.py:natural_shift \
#       examples/adversaries.sh runs/adversaries model.py:a model.py:b ...
#
# The images have the size that the models want: no resizing, so that all models see the same pixels.
# LIMIT (500) images are attacked by FGSM and by STEPS (20) steps of PGD, and by AutoAttack at the radii AUTOATTACK (none;
# '1 2': hours for an undefended network on a CPU); SPACE (200) are rotated and shifted; PATCH (4) is the side of a patch.
set -euo pipefail
store=$1
shift
limit=${LIMIT:-500}
space=${SPACE:-200}
steps=${STEPS:-20}
attacks=()
for radius in 0.5 1 2 4 8; do
    attacks+=(--disturb "fgsm@$radius/255" --disturb "pgd-$steps@$radius/255")
done
for radius in ${AUTOATTACK:-}; do
    attacks+=(--disturb "autoattack@$radius/255")
done
weatherglass evaluate "$@" --data "$DATA" --limit "$limit" --store "$store" --preprocessing 'geometry none' \
    "${attacks[@]}" --disturb random_sign@8/255
weatherglass transfer "$@" --data "$DATA" --limit "$limit" --store "$store" --attack "pgd-$steps:exit=never@8/255" \
    --preprocessing 'geometry none'
weatherglass spatial "$@" --data "$DATA" --limit "$space" --store "$store-space" --patch "${PATCH:-4}" --output "$store-figures"
weatherglass perturbations "$@" --data "$DATA" --limit 64 --patch "${PATCH:-4}" --attack "pgd-$steps:exit=never@4/255" \
    --output "$store-figures/perturbations.png"
weatherglass evaluate "$@" --data "$DATA" --disturb clean --limit 2000 --store "$store-shift"
weatherglass evaluate "$@" --data "$SHIFT" --disturb clean --store "$store-shift"
weatherglass effective-robustness "$store-shift" --clean "${DATA##*:}" --shift "${SHIFT##*:}" \
    --output "$store-figures/effective-robustness.svg"
weatherglass report "$store" "$store-space" --output "$store.html" --figures "$store-figures"
