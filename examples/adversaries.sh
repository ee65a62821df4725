#!/usr/bin/env bash
# Everything that docs/attacks.md shows, for the models given: clean, attacks by radius, rotations and shifts, transfer,
# perturbations, and the page. Results are kept: the same command goes on where it stopped.
#
#   DATA=examples/shared_sheets.py:cifar10_test SHIFT=examples/shared_sheets.py:natural_shift \
#       examples/adversaries.sh runs/adversaries model.py:a model.py:b ...
#
# The images have the size that the models want: no resizing, so that all models see the same pixels.
# LIMIT (500) images are attacked, SPACE (200) rotated and shifted, PATCH (4) is the side of a patch in pixels.
set -euo pipefail
store=$1
shift
limit=${LIMIT:-500}
space=${SPACE:-200}
weatherglass evaluate "$@" --data "$DATA" --limit "$limit" --store "$store" --preprocessing 'geometry none' \
    --disturb fgsm --disturb pgd-20 --disturb random_sign@2/255 --disturb random_sign@8/255 \
    --disturb autoattack:version=apgd@1/255 --disturb autoattack:version=apgd@2/255 --disturb autoattack:version=apgd@8/255
weatherglass transfer "$@" --data "$DATA" --limit "$limit" --store "$store" --attack pgd-20:exit=never@8/255 \
    --preprocessing 'geometry none'
weatherglass spatial "$@" --data "$DATA" --limit "$space" --store "$store-space" --patch "${PATCH:-4}" --output "$store-figures"
weatherglass perturbations "$@" --data "$DATA" --limit 64 --patch "${PATCH:-4}" --attack pgd-20:exit=never@4/255 \
    --output "$store-figures/perturbations.png"
weatherglass evaluate "$@" --data "$DATA" --disturb clean --limit 2000 --store "$store-shift"
weatherglass evaluate "$@" --data "$SHIFT" --disturb clean --store "$store-shift"
weatherglass effective-robustness "$store-shift" --clean "${DATA##*:}" --shift "${SHIFT##*:}" \
    --output "$store-figures/effective-robustness.svg"
weatherglass report "$store" "$store-space" --output "$store.html" --figures "$store-figures"
