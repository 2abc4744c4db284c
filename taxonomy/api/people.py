"""People, one's own page, the terms; and signing in: a username and a password for a token."""

from typing import Any

from allauth.account.adapter import get_adapter
from allauth.account.utils import has_verified_email
from django.conf import settings
from django.db.models import Q, QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import mixins, serializers
from rest_framework.authtoken.models import Token
from rest_framework.exceptions import AuthenticationFailed, NotFound
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import SimpleRateThrottle
from rest_framework.views import APIView

from taxonomy.actions import people
from taxonomy.api.authentication import TokenAuthentication
from taxonomy.api.resources import Body, NoBody, Resource, choice, choice_filter
from taxonomy.interchange.person import everything_of
from taxonomy.models import Role, User
from taxonomy.permissions import (
    Answer,
    Person,
    can_appoint,
    can_block,
    can_confirm_reviewer,
    can_erase,
    can_keep_profile,
    can_see_candidates,
    require,
)


class TokenThrottle(SimpleRateThrottle):
    """So many tries a minute from one address; allauth counts the wrong ones for each account as well."""

    scope = "token"

    def get_cache_key(self, request: Request, view: Any) -> str:
        return str(self.cache_format % {"scope": self.scope, "ident": self.get_ident(request)})


class TokenBody(Body):
    username = serializers.CharField(max_length=150)
    password = serializers.CharField(max_length=500, trim_whitespace=False)


class TokenSerializer(serializers.Serializer):
    token = serializers.CharField(help_text="send it as the header 'Authorization: Token ...'")
    username = serializers.CharField()
    role = serializers.CharField()


class Challenge(TokenAuthentication):
    """Names the scheme in a 401, and reads no token: an old one must not stop its owner from getting a new one."""

    def authenticate(self, request: Request) -> None:
        return None


class TokenView(APIView):
    authentication_classes = [Challenge]
    permission_classes = [AllowAny]
    throttle_classes = [TokenThrottle]

    @extend_schema(request=TokenBody, responses=TokenSerializer, auth=[])
    def post(self, request: Request) -> Response:
        """Sign in, and get the token that this account's programs send."""
        body = TokenBody(data=request.data)
        body.is_valid(raise_exception=True)
        person: Any = get_adapter().authenticate(request._request, **body.validated_data)
        if person is None:
            raise AuthenticationFailed("There is no account with this username and password.")
        if not person.is_active:
            raise AuthenticationFailed("This account is blocked.")
        if settings.ACCOUNT_EMAIL_VERIFICATION == "mandatory" and not has_verified_email(person):
            raise AuthenticationFailed("Verify your address first: the link is in the mail that we sent you.")
        token, _ = Token.objects.get_or_create(user=person)
        return Response({"token": token.key, "username": person.username, "role": person.role})


class PersonSerializer(serializers.ModelSerializer):
    orcid = serializers.CharField(help_text="as ORCID itself vouched for it; empty when it is not linked")

    class Meta:
        model = User
        fields = ["username", "role", "affiliation", "orcid", "date_joined", "is_active"]


class CreditSerializer(serializers.Serializer):
    network = serializers.CharField(source="network.name")
    labels = serializers.IntegerField(help_text="neurons read")
    blind = serializers.IntegerField(help_text="of these, read before anything about them was shown")
    reviews = serializers.IntegerField(help_text="decisions as reviewer or editor")
    proposals = serializers.IntegerField()
    comments = serializers.IntegerField()
    notes = serializers.IntegerField(help_text="published ones, as an author")
    claims = serializers.IntegerField(help_text="stated, but for those on drafts")


class CreditedSerializer(PersonSerializer):
    credits = serializers.SerializerMethodField()

    class Meta(PersonSerializer.Meta):
        fields = [*PersonSerializer.Meta.fields, "credits"]

    @extend_schema_field(CreditSerializer(many=True))
    def get_credits(self, person: User) -> Any:
        return CreditSerializer(people.credits_of(person), many=True).data


class ProgressSerializer(serializers.Serializer):
    answered = serializers.IntegerField(help_text="gold neurons read")
    right = serializers.IntegerField(help_text="of these, as they were accepted")
    settled = serializers.IntegerField(help_text="other first readings, on neurons that have settled since")
    is_enough = serializers.BooleanField(help_text="whether a reviewer's role is earned, for an editor to confirm")
    missing = serializers.ListField(child=serializers.CharField(), help_text="what is missing, in words")


class CandidateSerializer(serializers.Serializer):
    username = serializers.CharField()
    progress = ProgressSerializer()


class AppointmentBody(Body):
    role = choice(Role)
    reason = serializers.CharField(max_length=500, help_text="recorded, and shown on the person's page")


class ReasonBody(Body):
    reason = serializers.CharField(max_length=500, help_text="recorded, for admins")


class ProofBody(Body):
    proof = serializers.CharField(
        max_length=500,
        trim_whitespace=False,
        help_text="for your own account the password; for others, and where there is none, the user name",
    )


class PeopleFilter(filters.FilterSet):
    role = choice_filter(Role, help_text="their role")
    q = filters.CharFilter(method="like", help_text="part of a user name or an affiliation")

    def like(self, queryset: QuerySet[User], name: str, value: str) -> QuerySet[User]:
        value = value.replace("\0", "\ufffd")
        return queryset.filter(Q(username__icontains=value) | Q(affiliation__icontains=value))


class PeopleViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, Resource):
    """Everybody who takes part. Blocked and former people are not listed; their pages stay."""

    serializer_class = PersonSerializer
    filterset_class = PeopleFilter

    def gate(self, user: Person) -> Answer:
        nobody = User()
        return {
            "appoint": can_appoint(user, nobody, ""),
            "confirm": can_confirm_reviewer(user, nobody),
            "erase": can_erase(user, nobody),
        }.get(self.action, can_block(user, nobody))

    def get_queryset(self) -> QuerySet[User]:
        there = User.objects.prefetch_related("socialaccount_set").order_by("username")
        return there.filter(is_active=True, is_system=False) if self.action == "list" else there

    def get_object(self) -> User:
        found = self.get_queryset().filter(username=self.kwargs["username"].replace("\0", "\ufffd")).first()
        if found is None:
            raise NotFound("There is nobody called that here.")
        return found

    @extend_schema(responses=CreditedSerializer)
    def retrieve(self, request: Request, username: str) -> Response:
        """A person, with what they did for each network."""
        return Response(CreditedSerializer(self.get_object()).data)

    @extend_schema(responses=CandidateSerializer(many=True), filters=False)
    def candidates(self, request: Request) -> Response:
        """For editors: contributors who have earned to be reviewers."""
        require(can_see_candidates(request.user))
        found = [{"username": one.username, "progress": how} for one, how in people.candidates(request.user)]
        return Response(CandidateSerializer(found, many=True).data)

    @extend_schema(request=AppointmentBody, responses=PersonSerializer)
    def appoint(self, request: Request, username: str) -> Response:
        """Give a person another role: admins any, editors a reviewer's."""
        values = self.checked(request, AppointmentBody)
        return self.told(people.appoint(request.user, self.get_object(), values["role"], reason=values["reason"]))

    @extend_schema(request=None, responses=PersonSerializer)
    def confirm(self, request: Request, username: str) -> Response:
        """For editors: make a contributor who earned it a reviewer."""
        self.checked(request, NoBody)
        return self.told(people.confirm_reviewer(request.user, self.get_object()))

    @extend_schema(request=ReasonBody, responses=PersonSerializer)
    def block(self, request: Request, username: str) -> Response:
        """For admins: close an account. Its sessions and token stop working at once."""
        reason = self.checked(request, ReasonBody)["reason"]
        return self.told(people.block(request.user, self.get_object(), reason=reason))

    @extend_schema(request=ReasonBody, responses=PersonSerializer)
    def unblock(self, request: Request, username: str) -> Response:
        """For admins: open an account again."""
        reason = self.checked(request, ReasonBody)["reason"]
        return self.told(people.unblock(request.user, self.get_object(), reason=reason))

    @extend_schema(request=ProofBody, responses=PersonSerializer)
    def erase(self, request: Request, username: str) -> Response:
        """Blank a person for good: yourself, or as an admin others. What they contributed stays."""
        proof = self.checked(request, ProofBody)["proof"]
        return self.told(people.erase(request.user, self.get_object(), proof=proof))

    def told(self, person: User) -> Response:
        return Response(PersonSerializer(person).data)


class MeSerializer(PersonSerializer):
    class Meta(PersonSerializer.Meta):
        fields = [
            *PersonSerializer.Meta.fields,
            *("email", "pseudonymous", "shortcuts", "terms_version", "terms_accepted_at"),
        ]


class MeBody(Body):
    affiliation = serializers.CharField(required=False, allow_blank=True, max_length=200)
    pseudonymous = serializers.BooleanField(required=False, help_text="whether releases credit you under a pseudonym")
    shortcuts = serializers.BooleanField(required=False, help_text="whether single letters act on pages")


class MeViewSet(Resource):
    """Whoever asks."""

    serializer_class = MeSerializer
    gate = staticmethod(can_keep_profile)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        require(can_keep_profile(request.user))

    @extend_schema(responses=MeSerializer)
    def retrieve(self, request: Request) -> Response:
        """Your own profile."""
        return Response(MeSerializer(request.user).data)

    @extend_schema(request=MeBody, responses=MeSerializer)
    def partial_update(self, request: Request) -> Response:
        """Change what is given of your profile."""
        return Response(MeSerializer(people.change_profile(request.user, **self.checked(request, MeBody))).data)

    @extend_schema(responses=ProgressSerializer)
    def progress(self, request: Request) -> Response:
        """How far you are on the way to being a reviewer by what you read."""
        return Response(ProgressSerializer(people.progress(request.user)).data)

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def everything(self, request: Request) -> Response:
        """Everything that the site holds of you."""
        return Response(everything_of(request.user))


class TermsSerializer(serializers.Serializer):
    version = serializers.CharField()
    text = serializers.URLField(help_text="where they can be read")
    accepted = serializers.BooleanField(help_text="whether whoever asks has accepted this version")


class TermsBody(Body):
    version = serializers.CharField(max_length=20, help_text="the version that was read")


class TermsViewSet(Resource):
    """What one agrees to by contributing."""

    serializer_class = TermsSerializer
    gate = staticmethod(can_keep_profile)

    @extend_schema(responses=TermsSerializer)
    def retrieve(self, request: Request) -> Response:
        """The present version of the terms."""
        return self.told(request, request.user)

    @extend_schema(request=TermsBody, responses=TermsSerializer)
    def accept(self, request: Request) -> Response:
        """Accept the terms in the version that you read."""
        return self.told(request, people.accept_terms(request.user, self.checked(request, TermsBody)["version"]))

    def told(self, request: Request, user: Person) -> Response:
        text = request.build_absolute_uri("/terms/")
        accepted = isinstance(user, User) and user.has_accepted_terms
        found = {"version": settings.TERMS_VERSION, "text": text, "accepted": accepted}
        return Response(TermsSerializer(found).data)
