"""Universality: which families of two networks are alike, by what evidence says of their members.

Nothing new is computed: the vectors of ``neighbours`` evidence lie in the database, and a family stands where the mean
of its members' vectors does. Linking two families as analogues is ``actions.families.link``.
"""

from collections.abc import Collection
from dataclasses import dataclass

from django.db import connection

from taxonomy.models import Likeness, Network

SAMPLE = 12  # so many members stand for a family, evenly over their ids: a page is not to read 10,000 vectors


@dataclass(frozen=True)
class Alike:
    """Two families, by their ids, and the cosines of their mean vectors: 1 is the same, 0 unrelated.

    ``tuning`` is by how they answer to drawn stimuli, whatever the direction (``neighbours`` by rotation); ``pictures``
    by which pictures of the same set excite them (by activation), the mean over the image sets that both were measured
    on: the best of them would grow with their number. None where one of the two was not measured so.
    """

    source: int
    target: int
    tuning: float | None
    pictures: float | None

    @property
    def score(self) -> float:
        """What the pairs are ordered by: the mean of what is known."""
        known = [cosine for cosine in (self.tuning, self.pictures) if cosine is not None]
        return sum(known) / len(known)


def alike(first: Network, second: Network, hidden: Collection[int] = ()) -> list[Alike]:
    """Every pair of a family of each network of which something can be compared, the most alike first. One query.

    Args:
        hidden: neurons that are left out, since whoever asks is not to learn their families (``hidden_from``).
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH members AS (
                SELECT family.id AS family, layer.network_id AS network, membership.neuron_id AS neuron,
                       row_number() OVER (PARTITION BY family.id ORDER BY membership.neuron_id) AS place,
                       count(*) OVER (PARTITION BY family.id) AS size
                FROM taxonomy_membership membership
                JOIN taxonomy_family family ON family.id = membership.family_id
                JOIN taxonomy_layer layer ON layer.id = family.layer_id
                WHERE layer.network_id IN (%(first)s, %(second)s) AND family.retired_at IS NULL
                  AND membership.ended_at IS NULL AND NOT membership.neuron_id = ANY(%(hidden)s)
            ), newest AS (
                SELECT DISTINCT ON (members.family, vector.neuron_id, vector.likeness, vector.image_set_id)
                       members.family, members.network, vector.likeness, vector.image_set_id AS images, vector.values
                FROM members JOIN taxonomy_vector vector ON vector.neuron_id = members.neuron
                WHERE (size <= %(sample)s OR place * %(sample)s / size > (place - 1) * %(sample)s / size)
                  AND vector.likeness IN (%(rotation)s, %(activation)s)
                ORDER BY members.family, vector.neuron_id, vector.likeness, vector.image_set_id, vector.evidence_id DESC
            ), means AS MATERIALIZED (
                SELECT family, network, likeness, images, avg(values) AS mean
                FROM newest GROUP BY family, network, likeness, images
            ), pairs AS MATERIALIZED (
                SELECT source.family AS first, target.family AS second, source.likeness, source.images,
                       1 - (source.mean <=> target.mean) AS cosine
                FROM means source JOIN means target
                  ON target.likeness = source.likeness AND target.images IS NOT DISTINCT FROM source.images
                WHERE source.network = %(first)s AND target.network = %(second)s
                  AND vector_norm(source.mean) > 0 AND vector_norm(target.mean) > 0
            )
            SELECT first, second, avg(cosine) FILTER (WHERE likeness = %(rotation)s),
                   avg(cosine ORDER BY images) FILTER (WHERE likeness = %(activation)s)
            FROM pairs GROUP BY first, second
            """,
            {
                "first": first.pk,
                "second": second.pk,
                "hidden": list(hidden),
                "sample": SAMPLE,
                "rotation": Likeness.ROTATION,
                "activation": Likeness.ACTIVATION,
            },
        )
        found = [Alike(*row) for row in cursor.fetchall()]
    return sorted(found, key=lambda pair: (-pair.score, pair.source, pair.target))
