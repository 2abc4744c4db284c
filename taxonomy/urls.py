"""Every address of the site. Names of networks, layers and people are those that the record allows."""

from django.contrib import admin
from django.urls import include, path, register_converter
from django.urls.converters import IntConverter, StringConverter
from django.views.generic import RedirectView

from taxonomy import feeds
from taxonomy.pages import (
    agreement,
    artificial,
    circuits,
    claims,
    compare,
    discussions,
    events,
    evidence,
    families,
    gold,
    health,
    home,
    jobs,
    labels,
    moderation,
    networks,
    neurons,
    notes,
    notifications,
    people,
    proposals,
    reviews,
    search,
    sheets,
    universality,
    weights,
)


class Name(StringConverter):
    regex = r"[\w.-]{1,60}"


class Username(StringConverter):
    regex = r"[\w.@+-]{1,150}"


class Index(IntConverter):
    regex = "[0-9]{1,9}"


class Digest(StringConverter):
    regex = "[0-9a-f]{64}"


class Suffix(StringConverter):
    regex = r"\.[a-z]{1,15}"


register_converter(Name, "name")
register_converter(Username, "username")
register_converter(Index, "index")
register_converter(Digest, "sha256")
register_converter(Suffix, "suffix")

NETWORK = "networks/<name:name>/"
LAYER = NETWORK + "<name:layer_name>/"
NEURON = LAYER + "<index:index>/"
NOTE = "notes/<uuid:public_id>/"

urlpatterns = [
    path("", home.home, name="home"),
    path("networks/", RedirectView.as_view(pattern_name="home"), name="networks"),
    path(NETWORK, networks.network, name="network"),
    path(NETWORK + "agreement/", agreement.network_agreement, name="agreement"),
    path(NETWORK + "request/", evidence.request_of_network, name="network_request"),
    path(NETWORK + "weights/", weights.explorer, name="weights_explorer"),
    path(NETWORK + "weights/walk/", weights.walk, name="weights_walk"),
    path(NETWORK + "weights/request/", weights.request_weights, name="weights_request"),
    path(NETWORK + "claims/", claims.claim_list, name="claims"),
    path(NETWORK + "thread/", notes.thread, name="thread"),
    path(NETWORK + "thread/feed.atom", feeds.thread, name="thread_feed"),
    path(NETWORK + "notes/new/", notes.new, name="note_new"),
    path(NOTE, notes.note, name="note"),
    path(NOTE + "edit/", notes.edit, name="note_edit"),
    path(NOTE + "preview/", notes.preview, name="note_preview"),
    path(NOTE + "latest/", notes.latest, name="note_latest"),
    path(NOTE + "versions/", notes.versions, name="note_versions"),
    path(NOTE + "versions/<index:number>/", notes.version, name="note_version"),
    path(NOTE + "versions/<index:number>/diff/", notes.diff, name="note_diff"),
    path(NOTE + "circuit/", circuits.edit, name="note_circuit"),
    path(NOTE + "circuit.svg", circuits.svg, name="note_circuit_svg"),
    path(NOTE + "submit/", notes.submit, name="note_submit"),
    path(NOTE + "retract/", notes.retract, name="note_retract"),
    path(NOTE + "decide/", notes.decide, name="note_decide"),
    path(NOTE + "withdraw/", notes.withdraw, name="note_withdraw"),
    path(NOTE + "supersede/", notes.supersede, name="note_supersede"),
    path(NOTE + "doi/", notes.doi, name="note_doi"),
    path(NOTE + "authors/", notes.authors, name="note_authors"),
    path(NOTE + "cite<suffix:suffix>", notes.cite, name="note_cite"),
    path(NOTE + "hide/", moderation.note, {"verb": "hide"}, name="note_hide"),
    path(NOTE + "unhide/", moderation.note, {"verb": "unhide"}, name="note_unhide"),
    path(NOTE + "feed.atom", feeds.subject, {"kind": "note"}, name="note_feed"),
    path(NOTE + "discussion/", discussions.of_note, name="note_discussion"),
    path(NOTE + "discussion/feed.atom", feeds.discussion, {"kind": "note"}, name="note_discussion_feed"),
    path(LAYER, networks.layer, name="layer"),
    path(LAYER + "overlap/", labels.layer_overlap, name="layer_overlap"),
    path(LAYER + "sheet/", sheets.sheet_take, name="sheet_take"),
    path(LAYER + "propose/", proposals.propose, name="proposal_new"),
    path(LAYER + "request/", evidence.request_evidence, name="layer_request"),
    path(LAYER + "families/<index:pk>/", families.family, name="family"),
    path(LAYER + "families/<index:pk>/request/", evidence.request_of_family, name="family_request"),
    path(LAYER + "families/<index:pk>/discussion/", discussions.of_family, name="family_discussion"),
    path(NEURON, neurons.neuron, name="neuron"),
    path(NEURON + "discussion/", discussions.of_neuron, name="neuron_discussion"),
    path(NEURON + "face.png", evidence.face, name="face"),
    path(NEURON + "neighbours/", neurons.neighbours, name="neighbours"),
    path(NEURON + "label/", neurons.label, name="label"),
    path(NEURON + "accept/", reviews.decide, {"decision": "accept"}, name="accept"),
    path(NEURON + "decide/", reviews.decide, name="decide"),
    path(NEURON + "request/", evidence.request_evidence, name="neuron_request"),
    path(NEURON + "gold/", gold.mark, name="gold_mark"),
    path("gold/", gold.gold_list, name="gold"),
    path("label/", labels.label_next, name="label_next"),
    path("label/card/", labels.label_card, name="label_card"),
    path("label/skip/", labels.label_skip, name="label_skip"),
    path("label/undo/", labels.label_undo, name="label_undo"),
    path("label/show/", labels.label_show, name="label_show"),
    path("sheets/<uuid:public_id>/", sheets.sheet, name="sheet"),
    path("sheets/<uuid:public_id>/look/<index:pk>/", sheets.sheet_look, name="sheet_look"),
    path("sheets/<uuid:public_id>/undo/", sheets.sheet_undo, name="sheet_undo"),
    path("sheets/<uuid:public_id>/give-back/", sheets.sheet_give_back, name="sheet_give_back"),
    path("sheets/<uuid:public_id>/anew/", sheets.sheet_anew, name="sheet_anew"),
    path("review/", reviews.review, name="review"),
    path("review/accept/", reviews.accept_many, name="accept_many"),
    path("review/sheet/", reviews.sheet, name="review_sheet"),
    path("proposals/", proposals.proposal_list, name="proposals"),
    path("proposals/<uuid:public_id>/", proposals.proposal, name="proposal"),
    path("proposals/<uuid:public_id>/discussion/", discussions.of_proposal, name="proposal_discussion"),
    path("claims/new/", claims.claim_new, name="claim_new"),
    path("claims/new/preview/", claims.claim_preview, name="claim_preview"),
    path("claims/<uuid:public_id>/", claims.claim, name="claim"),
    path("claims/<uuid:public_id>/discussion/", discussions.of_claim, name="claim_discussion"),
    path("claims/<uuid:public_id>/feed.atom", feeds.subject, {"kind": "claim"}, name="claim_feed"),
    path(
        "claims/<uuid:public_id>/discussion/feed.atom",
        feeds.discussion,
        {"kind": "claim"},
        name="claim_discussion_feed",
    ),
    path("claims/<uuid:public_id>/run/", claims.claim_run, name="claim_run"),
    path("claims/<uuid:public_id>/withdraw/", claims.claim_withdraw, name="claim_withdraw"),
    path("claims/<uuid:public_id>/hide/", moderation.claim, {"verb": "hide"}, name="claim_hide"),
    path("claims/<uuid:public_id>/unhide/", moderation.claim, {"verb": "unhide"}, name="claim_unhide"),
    path("discussions/", discussions.discussion_list, name="discussions"),
    path("comments/<uuid:public_id>/", discussions.comment, name="comment"),
    path("comments/<uuid:public_id>/edit/", discussions.edit, name="comment_edit"),
    path("comments/<uuid:public_id>/wordings/", discussions.wordings, name="comment_wordings"),
    path("comments/<uuid:public_id>/resolve/", discussions.resolve, {"verb": "resolve"}, name="comment_resolve"),
    path("comments/<uuid:public_id>/reopen/", discussions.resolve, {"verb": "reopen"}, name="comment_reopen"),
    path("comments/<uuid:public_id>/hide/", discussions.hide, {"verb": "hide"}, name="comment_hide"),
    path("comments/<uuid:public_id>/unhide/", discussions.hide, {"verb": "unhide"}, name="comment_unhide"),
    path("moderation/", discussions.moderation, name="moderation"),
    path("moderation/notes/", moderation.note_list, name="moderation_notes"),
    path("moderation/claims/", moderation.claim_list, name="moderation_claims"),
    path("jobs/", jobs.job_list, name="jobs"),
    path("jobs/<uuid:public_id>/", jobs.job, name="job"),
    path("jobs/<uuid:public_id>/cancel/", jobs.control, {"verb": "cancel"}, name="job_cancel"),
    path("jobs/<uuid:public_id>/retry/", jobs.control, {"verb": "retry"}, name="job_retry"),
    path("activity/", events.activity, name="activity"),
    path("evidence/<uuid:public_id>/", evidence.version, name="evidence_version"),
    path("evidence/<uuid:public_id>/kernel/", circuits.kernel, name="evidence_kernel"),
    path("evidence/<uuid:public_id>/quilt/", evidence.quilt, name="evidence_quilt"),
    path("evidence/<uuid:public_id>/embed", evidence.embed, name="evidence_embed"),
    path("evidence/<uuid:public_id>/reproduce/", evidence.reproduce, name="evidence_reproduce"),
    path("comparisons/<uuid:public_id>/", evidence.comparison, name="comparison"),
    path("comparisons/<uuid:public_id>/<name:name>", evidence.comparison_file, name="comparison_file"),
    path("notes/<uuid:public_id>/artificial.py", artificial.artificial, name="note_artificial"),
    path("compare/", compare.compare, name="compare"),
    path("universality/", universality.page, name="universality"),
    path("universality/link/", universality.analogue, name="analogue"),
    path("artifacts/<sha256:sha256><suffix:suffix>", evidence.artifact, name="artifact"),
    path("people/", people.people_list, name="people"),
    path("people/candidates/", people.candidates, name="candidates"),
    path("people/<username:username>/", people.person, name="person"),
    path("activity/feed.atom", feeds.activity, name="activity_feed"),
    path(NETWORK + "feed.atom", feeds.network, name="network_feed"),
    path(LAYER + "feed.atom", feeds.layer, name="layer_feed"),
    path(NEURON + "feed.atom", feeds.subject, {"kind": "neuron"}, name="neuron_feed"),
    path(LAYER + "families/<index:pk>/feed.atom", feeds.subject, {"kind": "family"}, name="family_feed"),
    path("proposals/<uuid:public_id>/feed.atom", feeds.subject, {"kind": "proposal"}, name="proposal_feed"),
    path(NEURON + "discussion/feed.atom", feeds.discussion, {"kind": "neuron"}, name="neuron_discussion_feed"),
    path(
        LAYER + "families/<index:pk>/discussion/feed.atom",
        feeds.discussion,
        {"kind": "family"},
        name="family_discussion_feed",
    ),
    path(
        "proposals/<uuid:public_id>/discussion/feed.atom",
        feeds.discussion,
        {"kind": "proposal"},
        name="proposal_discussion_feed",
    ),
    path("notifications/<uuid:key>/feed.atom", feeds.person, name="feed_of_person"),
    path("me/", people.me, name="me"),
    path("me/data/", people.me_data, name="me_data"),
    path("me/erase/", people.me_erase, name="me_erase"),
    path("terms/", people.terms, name="terms"),
    path("notifications/", notifications.notification_list, name="notifications"),
    path("notifications/following/", notifications.following, name="following"),
    path("notifications/follow/", notifications.follow, name="follow"),
    path("notifications/settings/", notifications.notification_settings, name="notification_settings"),
    path("notifications/mute/<str:token>/", notifications.mute_told, name="mute_told"),
    path("notifications/stop/<str:token>/", notifications.stop_digest, name="stop_digest"),
    path("go/", search.go, name="go"),
    path("complete/", search.complete, name="complete"),
    path("healthz", health.healthz, name="healthz"),
    path("api/v1/", include("taxonomy.api.urls")),
    path("accounts/", include("allauth.urls")),
    path("admin/", admin.site.urls),
]

handler400 = "taxonomy.pages.errors.bad_request"
handler403 = "taxonomy.pages.errors.forbidden"
handler404 = "taxonomy.pages.errors.not_found"
handler500 = "taxonomy.pages.errors.broken"
