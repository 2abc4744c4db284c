"""Image sets: the pictures that dataset examples come from."""

import pgtrigger
from django.core.validators import RegexValidator
from django.db import models


@pgtrigger.register(
    pgtrigger.ReadOnly(name="image_sets_keep_their_pictures", fields=["name", "digest", "count"]),
)
class ImageSet(models.Model):
    """Registered pictures of one folder; ``digest`` covers their names and bytes, so that a change is noticed.

    The folder may move. What evidence was made of, and is named by in recipes and plans, stays as it was.
    """

    name = models.CharField(max_length=60, unique=True, validators=[RegexValidator(r"^[a-z0-9][a-z0-9_.-]*\Z")])
    folder = models.CharField(max_length=1000)
    digest = models.CharField(max_length=64)
    licence = models.CharField(max_length=120, blank=True)
    source = models.CharField(max_length=300, blank=True)
    count = models.PositiveIntegerField()
    left_out = models.JSONField(
        default=list, blank=True, help_text='[{"name", "reason"}] of files that are no readable picture'
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["created_at", "id"]

    def __str__(self) -> str:
        return self.name


@pgtrigger.register(
    pgtrigger.Protect(name="images_are_kept", operation=pgtrigger.Delete),
    pgtrigger.ReadOnly(name="images_are_frozen"),
)
class Image(models.Model):
    """One picture, never changed: whoever said what it shows after a claim was stated would change its test.

    ``parameters`` says what a generated picture truly shows, and as "class" (an index) what it is a picture of.
    """

    image_set = models.ForeignKey(ImageSet, models.PROTECT, related_name="images")
    index = models.PositiveIntegerField()
    name = models.CharField(max_length=300)
    sha256 = models.CharField(max_length=64)
    width = models.PositiveIntegerField()
    height = models.PositiveIntegerField()
    parameters = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering = ["image_set_id", "index"]
        constraints = [
            models.UniqueConstraint(fields=["image_set", "index"], name="image_index_is_unique_in_set"),
            models.UniqueConstraint(fields=["image_set", "name"], name="image_name_is_unique_in_set"),
        ]

    def __str__(self) -> str:
        return self.name


class Photograph(models.Model):
    """An image as a network sees it: short side resized to ``resize`` pixels, then the central ``size`` x ``size``.

    Kept once for all the neurons that it is an example of.
    """

    image = models.ForeignKey(Image, models.PROTECT, related_name="photographs")
    resize = models.PositiveIntegerField()
    size = models.PositiveIntegerField()
    sha256 = models.CharField(max_length=64, db_index=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["image", "resize", "size"], name="photograph_is_unique_for_a_size")
        ]

    def __str__(self) -> str:
        return f"{self.image} at {self.size} px"
