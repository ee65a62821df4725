"""Which of ImageNet's 1,000 outputs compete on which data: the masks of -A and -R, the 16 entry-level categories.

Tables without torch. The masks are those of the authors' code (Hendrycks et al., "Natural Adversarial Examples", CVPR
2021, and "The Many Faces of Robustness", ICCV 2021); the categories those of Geirhos et al., "ImageNet-trained CNNs
are biased towards texture" (ICLR 2019).
"""

from collections.abc import Mapping

from weatherglass.catalog import Catalog


def _numbers(text: str) -> tuple[int, ...]:
    """'1 3-5' as (1, 3, 4, 5)."""
    spans = [part.partition("-") for part in text.split()]
    return tuple(n for first, _, last in spans for n in range(int(first), int(last or first) + 1))


MASKS: Catalog[tuple[int, ...]] = Catalog(
    "mask of outputs",
    {
        "imagenet-a": _numbers(
            "6 11 13 15 17 22 23 27 30 37 39 42 47 50 57 70 71 76 79 89 90 94 96 97 99 105 107 108 110 113 124 125 "
            "130 132 143 144 150 151 207 234 235 254 277 283 287 291 295 298 301 306-311 313-315 317 319 323 324 "
            "326 327 330 334-336 347 361 363 372 378 386 397 400-402 404 407 411 416 417 420 425 428 430 437 438 "
            "445 456 457 461 462 470 472 483 486 488 492 496 514 516 528 530 539 542 543 549 552 557 561 562 569 "
            "572 573 575 579 589 606 607 609 614 626 627 640-643 658 668 677 682 684 687 701 704 719 736 746 749 "
            "752 758 763 765 768 773 774 776 779 780 786 792 797 802-804 813 815 820 823 831 833 835 839 845 847 "
            "850 859 862 870 879 880 888 890 897 900 907 913 924 932-934 937 943 945 947 951 954 956 957 959 971 "
            "972 980 981 984 986-988"
        ),
        "imagenet-r": _numbers(
            "1 2 4 6 8 9 11 13 22 23 26 29 31 39 47 63 71 76 79 84 90 94 96 97 99 100 105 107 113 122 125 130 132 "
            "144 145 147 148 150 151 155 160-163 171 172 178 187 195 199 203 207 208 219 231 232 234 235 242 245 "
            "247 250 251 254 259 260 263 265 267 269 276 277 281 288 289 291-293 296 299 301 308-311 314 315 319 "
            "323 327 330 334 335 337 338 340 341 344 347 353 355 361 362 365-368 372 388 390 393 397 401 407 413 "
            "414 425 428 430 435 437 441 447 448 457 462 463 469-472 476 483 487 515 546 555 558 570 579 583 587 "
            "593 594 596 609 613 617 621 629 637 657 658 701 717 724 763 768 774 776 779 780 787 805 812 815 820 "
            "824 833 847 852 866 875 883 889 895 907 928 931-934 936 937 943 945 947-949 951 953 954 957 963 965 "
            "967 980 981 983 988"
        ),
    },
)
"""Output indices that compete, ascending: the 200 classes that these data sets have."""

CATEGORIES16: Mapping[str, tuple[int, ...]] = {
    "airplane": _numbers("404"),
    "bear": _numbers("294-297"),
    "bicycle": _numbers("444 671"),
    "bird": _numbers("8 10-16 18-20 22-24 80-83 87-96 98-100 127-133 135-145"),
    "boat": _numbers("472 554 625 814 914"),
    "bottle": _numbers("440 720 737 898 899 901 907"),
    "car": _numbers("436 511 817"),
    "cat": _numbers("281-286"),
    "chair": _numbers("423 559 765 857"),
    "clock": _numbers("409 530 892"),
    "dog": _numbers("152-191 193-203 205-226 228-241 243-250 252-257 259 261-263 265-268"),
    "elephant": _numbers("385 386"),
    "keyboard": _numbers("508 878"),
    "knife": _numbers("499"),
    "oven": _numbers("766"),
    "truck": _numbers("555 569 656 675 717 734 864 867"),
}
"""Category -> output indices, disjoint; 207 of the 1,000 outputs belong to one."""

OUTPUTS = ("auto", "all", *MASKS, "objectnet", "categories16")
"""Choices of what competes; 'auto' is what the kind of data is usually measured with."""

USUAL: Mapping[str, str] = {"imagenet-a": "imagenet-a", "imagenet-r": "imagenet-r", "cue-conflict": "categories16"}
"""Kind of data -> the choice that 'auto' stands for; 'all' for every other kind."""
