from django.urls import path, re_path
from drf_spectacular.authentication import TokenScheme
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from taxonomy.api.agreement import AgreementViewSet
from taxonomy.api.circuits import CircuitViewSet
from taxonomy.api.claims import ClaimViewSet
from taxonomy.api.compare import CompareViewSet
from taxonomy.api.discussions import CommentViewSet, DiscussionViewSet, ModerationViewSet
from taxonomy.api.errors import nothing_here
from taxonomy.api.evidence import ComparisonViewSet, EvidenceViewSet
from taxonomy.api.families import FamilyViewSet
from taxonomy.api.gold import GoldViewSet, RecordViewSet
from taxonomy.api.history import HistoryViewSet
from taxonomy.api.images import ImageSetViewSet
from taxonomy.api.jobs import JobViewSet
from taxonomy.api.labels import LabelViewSet
from taxonomy.api.moderation import ClaimModerationViewSet, NoteModerationViewSet
from taxonomy.api.networks import LayerViewSet, NetworkViewSet, NeuronViewSet
from taxonomy.api.notes import NoteViewSet
from taxonomy.api.notifications import NotificationViewSet, SubscriptionViewSet
from taxonomy.api.people import MeViewSet, PeopleViewSet, TermsViewSet, TokenView
from taxonomy.api.proposals import ProposalViewSet
from taxonomy.api.queue import OverlapViewSet, QueueViewSet
from taxonomy.api.reviews import ReviewViewSet
from taxonomy.api.sheets import SheetViewSet
from taxonomy.api.universality import UniversalityViewSet


class TokenInHeader(TokenScheme):
    """Tells the schema that our tokens are sent as DRF's own are."""

    target_class = "taxonomy.api.authentication.TokenAuthentication"


READ = {"get": "list"}
ONE = {"get": "retrieve"}
WRITE = {"get": "list", "post": "create"}
RESOURCES = (
    *("networks", "layers", "neurons", "families", "evidence", "image-sets"),
    *("labels", "reviews", "agreement", "proposals", "notes", "claims", "discussions", "comments", "jobs", "people"),
    *("notifications", "subscriptions", "terms", "docs", "schema"),
)


class Root(APIView):
    """What there is, for whoever opens the API's own address."""

    @extend_schema(exclude=True)
    def get(self, request: Request) -> Response:
        return Response({name: request.build_absolute_uri(f"/api/v1/{name}/") for name in RESOURCES})


urlpatterns = [
    path("", Root.as_view(), name="api"),
    path("networks/", NetworkViewSet.as_view(READ)),
    path("networks/<str:name>/", NetworkViewSet.as_view(ONE)),
    path("layers/", LayerViewSet.as_view(READ)),
    path("layers/<str:network>/<str:layer>/", LayerViewSet.as_view(ONE)),
    path("neurons/", NeuronViewSet.as_view(READ)),
    path("neurons/<str:network>/<str:address>/", NeuronViewSet.as_view(ONE), name="api_neuron"),
    path("neurons/<str:network>/<str:address>/history/", HistoryViewSet.as_view({"get": "neuron"})),
    path("neurons/<str:network>/<str:address>/circuit/", CircuitViewSet.as_view({"get": "grow"})),
    path("families/<int:pk>/history/", HistoryViewSet.as_view({"get": "family"})),
    path("agreement/", AgreementViewSet.as_view(READ)),
    path("families/", FamilyViewSet.as_view(READ)),
    path("families/<int:pk>/", FamilyViewSet.as_view(ONE)),
    path("families/<int:pk>/links/", UniversalityViewSet.as_view({"post": "link"})),
    path("universality/", UniversalityViewSet.as_view(READ)),
    path("compare/", CompareViewSet.as_view({"get": "compare"})),
    path("evidence/", EvidenceViewSet.as_view(READ), name="api_evidence"),
    path("evidence/<int:pk>/", EvidenceViewSet.as_view(ONE)),
    path("evidence/versions/<uuid:public_id>/reproduce/", ComparisonViewSet.as_view({"post": "create"})),
    path("comparisons/<uuid:public_id>/", ComparisonViewSet.as_view(ONE)),
    path("image-sets/", ImageSetViewSet.as_view(READ)),
    path("image-sets/<str:name>/", ImageSetViewSet.as_view(ONE)),
    path("labels/", LabelViewSet.as_view(WRITE)),
    path("labels/others/", LabelViewSet.as_view({"post": "show_others"})),
    path("labels/<uuid:public_id>/", LabelViewSet.as_view(ONE)),
    path("labels/<uuid:public_id>/undo/", LabelViewSet.as_view({"post": "undo"})),
    path("queue/", QueueViewSet.as_view({"post": "create"})),
    path("queue/<uuid:token>/give-back/", QueueViewSet.as_view({"post": "give_back"})),
    path("layers/<str:network>/<str:layer>/overlap/", OverlapViewSet.as_view({"post": "create"})),
    path("sheets/", SheetViewSet.as_view({"post": "create"})),
    path("sheets/<uuid:public_id>/submit/", SheetViewSet.as_view({"post": "submit"})),
    path("sheets/<uuid:public_id>/give-back/", SheetViewSet.as_view({"post": "give_back"})),
    path("gold/", GoldViewSet.as_view(WRITE)),
    path("gold/record/", RecordViewSet.as_view(ONE)),
    path("gold/<str:network>/<str:address>/unmark/", GoldViewSet.as_view({"post": "unmark"})),
    path("reviews/", ReviewViewSet.as_view(WRITE)),
    path("reviews/many/", ReviewViewSet.as_view({"post": "accept_many"})),
    path("proposals/", ProposalViewSet.as_view(WRITE)),
    path("proposals/<uuid:public_id>/", ProposalViewSet.as_view(ONE)),
    path("proposals/<uuid:public_id>/accept/", ProposalViewSet.as_view({"post": "accept"})),
    path("proposals/<uuid:public_id>/reject/", ProposalViewSet.as_view({"post": "reject"})),
    path("proposals/<uuid:public_id>/withdraw/", ProposalViewSet.as_view({"post": "withdraw"})),
    path("notes/", NoteViewSet.as_view(WRITE)),
    path("notes/<uuid:public_id>/", NoteViewSet.as_view(ONE)),
    path("notes/<uuid:public_id>/versions/", NoteViewSet.as_view({"get": "versions", "post": "save"})),
    path("notes/<uuid:public_id>/versions/<int:number>/", NoteViewSet.as_view({"get": "version"})),
    path("notes/<uuid:public_id>/submit/", NoteViewSet.as_view({"post": "submit"})),
    path("notes/<uuid:public_id>/retract/", NoteViewSet.as_view({"post": "retract"})),
    path("notes/<uuid:public_id>/decide/", NoteViewSet.as_view({"post": "decide"})),
    path("notes/<uuid:public_id>/withdraw/", NoteViewSet.as_view({"post": "withdraw"})),
    path("notes/<uuid:public_id>/supersede/", NoteViewSet.as_view({"post": "supersede"})),
    path("notes/<uuid:public_id>/doi/", NoteViewSet.as_view({"post": "doi"})),
    path("notes/<uuid:public_id>/authors/", NoteViewSet.as_view({"post": "ask"})),
    path("notes/<uuid:public_id>/authors/unask/", NoteViewSet.as_view({"post": "unask"})),
    path("notes/<uuid:public_id>/authors/agree/", NoteViewSet.as_view({"post": "agree"})),
    path("notes/<uuid:public_id>/authors/leave/", NoteViewSet.as_view({"post": "leave"})),
    path("notes/<uuid:public_id>/cite/", NoteViewSet.as_view({"get": "cite"})),
    path("notes/<uuid:public_id>/hide/", NoteModerationViewSet.as_view({"post": "hide"})),
    path("notes/<uuid:public_id>/unhide/", NoteModerationViewSet.as_view({"post": "unhide"})),
    path("claims/", ClaimViewSet.as_view(WRITE)),
    path("claims/preview/", ClaimViewSet.as_view({"post": "preview"})),
    path("claims/<uuid:public_id>/", ClaimViewSet.as_view(ONE)),
    path("claims/<uuid:public_id>/run/", ClaimViewSet.as_view({"post": "run"})),
    path("claims/<uuid:public_id>/withdraw/", ClaimViewSet.as_view({"post": "withdraw"})),
    path("claims/<uuid:public_id>/hide/", ClaimModerationViewSet.as_view({"post": "hide"})),
    path("claims/<uuid:public_id>/unhide/", ClaimModerationViewSet.as_view({"post": "unhide"})),
    path("discussions/", DiscussionViewSet.as_view(READ)),
    path("comments/", CommentViewSet.as_view(WRITE)),
    path("comments/<uuid:public_id>/", CommentViewSet.as_view({"get": "retrieve", "patch": "partial_update"})),
    path("comments/<uuid:public_id>/wordings/", CommentViewSet.as_view({"get": "wordings"})),
    path("comments/<uuid:public_id>/resolve/", CommentViewSet.as_view({"post": "resolve"})),
    path("comments/<uuid:public_id>/reopen/", CommentViewSet.as_view({"post": "reopen"})),
    path("comments/<uuid:public_id>/hide/", ModerationViewSet.as_view({"post": "hide"})),
    path("comments/<uuid:public_id>/unhide/", ModerationViewSet.as_view({"post": "unhide"})),
    path("jobs/", JobViewSet.as_view(WRITE)),
    path("jobs/<uuid:public_id>/", JobViewSet.as_view(ONE)),
    path("jobs/<uuid:public_id>/cancel/", JobViewSet.as_view({"post": "cancel"})),
    path("jobs/<uuid:public_id>/retry/", JobViewSet.as_view({"post": "retry"})),
    path("people/", PeopleViewSet.as_view(READ)),
    path("people/candidates/", PeopleViewSet.as_view({"get": "candidates"})),
    path("people/<str:username>/", PeopleViewSet.as_view(ONE)),
    path("people/<str:username>/appoint/", PeopleViewSet.as_view({"post": "appoint"})),
    path("people/<str:username>/confirm/", PeopleViewSet.as_view({"post": "confirm"})),
    path("people/<str:username>/block/", PeopleViewSet.as_view({"post": "block"})),
    path("people/<str:username>/unblock/", PeopleViewSet.as_view({"post": "unblock"})),
    path("people/<str:username>/erase/", PeopleViewSet.as_view({"post": "erase"})),
    path("me/", MeViewSet.as_view({"get": "retrieve", "patch": "partial_update"})),
    path("me/progress/", MeViewSet.as_view({"get": "progress"})),
    path("me/data/", MeViewSet.as_view({"get": "everything"})),
    path("terms/", TermsViewSet.as_view({"get": "retrieve", "post": "accept"})),
    path("notifications/", NotificationViewSet.as_view(READ)),
    path("notifications/read/", NotificationViewSet.as_view({"post": "read_all"})),
    path("notifications/digest/", NotificationViewSet.as_view({"get": "digest", "put": "set_digest"})),
    path("notifications/feed/", NotificationViewSet.as_view({"post": "feed"})),
    path("notifications/<int:pk>/read/", NotificationViewSet.as_view({"post": "read"})),
    path("subscriptions/", SubscriptionViewSet.as_view(WRITE)),
    path("subscriptions/<uuid:public_id>/", SubscriptionViewSet.as_view({"delete": "destroy"})),
    path("subscriptions/<uuid:public_id>/mute/", SubscriptionViewSet.as_view({"post": "mute"})),
    path("subscriptions/<uuid:public_id>/unmute/", SubscriptionViewSet.as_view({"post": "unmute"})),
    path("token/", TokenView.as_view(), name="api_token"),
    path("schema/", SpectacularAPIView.as_view(), name="api_schema"),
    path(
        "docs/", SpectacularSwaggerSplitView.as_view(url_name="api_schema", authentication_classes=[]), name="api_docs"
    ),
    re_path("(?P<path>.*)", nothing_here),
]
