"""People: signing up, one's own page, everybody's page, appointments, blocking and erasing."""

from typing import Any, cast

from allauth.account.forms import SignupForm as AccountSignupForm
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.forms import SignupForm as ProviderSignupForm
from allauth.socialaccount.models import SocialApp
from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.core.validators import ProhibitNullCharactersValidator
from django.db import transaction
from django.db.models import Count, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.html import format_html
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_http_methods, require_safe
from rest_framework.authtoken.models import Token

from taxonomy.actions import people
from taxonomy.interchange.person import everything_of
from taxonomy.models import Event, Label, Role, User
from taxonomy.pages.events import told_to
from taxonomy.permissions import can_appoint, can_block, can_erase, can_see_candidates, hidden_from


def asking(request: HttpRequest) -> User:
    """Whoever asks, for an action: actions refuse those who are not signed in, with the reason."""
    return cast(User, request.user)


class Joining(forms.Form):
    """What everybody does who signs up, however: choose a name by our rule, and accept the terms."""

    terms = forms.BooleanField(
        label="What I contribute is published under CC-BY 4.0 with my user name.",
        error_messages={"required": "Accept the terms to take part; reading needs no account."},
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.label_suffix = ""
        name = self.fields["username"]
        name.help_text = "Letters a to z, digits and . _ - ; shown beside everything you contribute."
        name.validators += [ProhibitNullCharactersValidator(), people.plain_name]
        name.widget.attrs["maxlength"] = "40"
        self.order_fields(["username", "email", "password1", "terms"])
        for field in self.fields.values():
            field.widget.attrs.pop("placeholder", None)
        self.fields["terms"].help_text = format_html(
            'The <a href="{}">terms of {}</a>, on one page.', reverse("terms"), settings.TERMS_VERSION
        )

    def clean_username(self) -> str:
        return people.check_name(super().clean_username())  # type: ignore[misc]

    @transaction.atomic
    def save(self, request: HttpRequest) -> User:
        return people.join(cast(User, super().save(request)))  # type: ignore[misc]


class SignupForm(Joining, AccountSignupForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["password1"].help_text = "At least 10 characters; not a common one, and not your name."


class SocialSignupForm(Joining, ProviderSignupForm):
    """For those whom ORCID or GitHub vouch for."""


class SocialAdapter(DefaultSocialAccountAdapter):
    """What is kept of ORCID's and GitHub's answers is the name there, and nothing else that they tell."""

    KEPT = ("login", "html_url", "orcid-identifier")

    def get_app(self, request: HttpRequest, provider: Any, client_id: Any = None) -> SocialApp:
        try:
            return super().get_app(request, provider, client_id)
        except SocialApp.DoesNotExist as error:
            raise Http404("This site does not offer that way to sign in.") from error

    def pre_social_login(self, request: HttpRequest, sociallogin: Any) -> None:
        account = sociallogin.account
        account.extra_data = {name: account.extra_data[name] for name in self.KEPT if name in account.extra_data}
        if account.pk:
            account.save(update_fields=["extra_data"])

    def populate_user(self, request: HttpRequest, sociallogin: Any, data: dict[str, Any]) -> User:
        """A name and an address to begin with; the name in civil life stays there."""
        known = {name: data[name] for name in ("username", "email") if data.get(name)}
        return cast(User, super().populate_user(request, sociallogin, known))

    def get_connect_redirect_url(self, request: HttpRequest, socialaccount: Any) -> str:
        return reverse("me")


PAGE = 50
# What is asked of those who earn a reviewer's role, for the pages that tell it.
EARNED = {"gold": people.GOLD_NEURONS, "share": people.GOLD_SHARE * 100, "settled": people.SETTLED_READINGS}


@require_safe
def people_list(request: HttpRequest) -> HttpResponse:
    """Everybody, by name, affiliation or role; and for editors, who has earned to be a reviewer."""
    # Counted in the index, one person after the other: joined to all labels, it would be ten times as slow.
    own = Label.objects.current().filter(author=OuterRef("pk")).order_by().values("author")
    count = Coalesce(Subquery(own.annotate(count=Count("pk")).values("count")), 0)
    everybody = (
        User.objects.filter(is_active=True, is_system=False).annotate(count=count).order_by("-count", "username")
    )
    query = request.GET.get("q", "").replace("\0", "").strip()[:100]
    if query:
        everybody = everybody.filter(Q(username__icontains=query) | Q(affiliation__icontains=query))
    role = request.GET.get("role", "")
    if role in Role.values:
        everybody = everybody.filter(role=role)
    context = {
        "page": Paginator(everybody, PAGE).get_page(request.GET.get("page")),
        "roles": Role,
        "role": role,
        "q": query,
        "confirms": can_see_candidates(request.user),
    }
    return render(request, "people/people.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def candidates(request: HttpRequest) -> HttpResponse:
    """Contributors who have earned to be reviewers, for an editor to confirm."""
    user = asking(request)
    if request.method == "POST":
        name = request.POST.get("person", "")
        chosen = get_object_or_404(User, username=name.replace("\0", ""))
        people.confirm_reviewer(user, chosen)
        messages.success(request, f"{chosen.username} is reviewer now.")
        return redirect("candidates")
    return render(request, "people/candidates.html", {"candidates": people.candidates(user), **EARNED})


def _choices(user: User, person: User) -> list[tuple[str, str]]:
    """The roles that this user may give this person."""
    return [(role.value, role.label) for role in Role if role != person.role and can_appoint(user, person, role)]


class AppointmentForm(forms.Form):
    role = forms.ChoiceField(choices=Role.choices, error_messages={"invalid_choice": "There is no such role."})
    reason = forms.CharField(
        max_length=500, error_messages={"required": "Say why: appointments are recorded with their reason."}
    )


class ReasonForm(forms.Form):
    reason = forms.CharField(
        max_length=500, error_messages={"required": "Say why: it is recorded with its reason, for other admins."}
    )


class ProofForm(forms.Form):
    proof = forms.CharField(strip=False, max_length=500, error_messages={"required": "Type it, so that it is meant."})


def _appoint(user: User, person: User, form: forms.Form) -> str:
    role = form.cleaned_data["role"]
    people.appoint(user, person, role, reason=form.cleaned_data["reason"])
    return f"{person.username} is {role} now."


def _block(user: User, person: User, form: forms.Form) -> str:
    people.block(user, person, reason=form.cleaned_data["reason"])
    return f"{person.username} is blocked. What they wrote stays."


def _unblock(user: User, person: User, form: forms.Form) -> str:
    people.unblock(user, person, reason=form.cleaned_data["reason"])
    return f"{person.username} may sign in again."


def _erase(user: User, person: User, form: forms.Form) -> str:
    name = person.username
    people.erase(user, person, proof=form.cleaned_data["proof"])
    return f"{name} was erased."


ACTS = {
    "appoint": (AppointmentForm, _appoint),
    "block": (ReasonForm, _block),
    "unblock": (ReasonForm, _unblock),
    "erase": (ProofForm, _erase),
}


@require_http_methods(["GET", "HEAD", "POST"])
def person(request: HttpRequest, username: str) -> HttpResponse:
    """What a person did; appoint them to another role, block or erase them."""
    shown = get_object_or_404(User.objects.prefetch_related("socialaccount_set"), username=username)
    user = asking(request)
    act = request.POST.get("act", "appoint")
    make, carry_out = ACTS.get(act, ACTS["appoint"])
    form = make(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            said = carry_out(user, shown, form)
        except ValidationError as error:
            form.add_error(None, ValidationError(error.messages))
        else:
            messages.success(request, said)
            shown.refresh_from_db(fields=["username"])
            return redirect("person", shown.username)
    signed_in = request.user.is_authenticated
    admin = signed_in and user.role == Role.ADMIN and shown.erased_at is None and not shown.is_system
    context = {
        "person": shown,
        "form": form,
        "act": act,
        "choices": _choices(user, shown) if signed_in and shown.is_active else [],
        "keeps_accounts": admin and user.pk != shown.pk,
        "may_block": can_block(request.user, shown) if admin else None,
        "may_erase": can_erase(request.user, shown) if admin else None,
        "blocked": shown.blocks.filter(ended_at=None).select_related("by").first() if admin else None,
        "appointments": shown.appointments.select_related("by")[:20],
        "credits": people.credits_of(shown),
        "events": told_to(
            request.user, Event.objects.visible_to(request.user, hidden_from(request.user)).filter(actor=shown), 30
        ),
    }
    return render(request, "people/person.html", context, status=422 if form.errors else 200)


class ProfileForm(forms.Form):
    affiliation = forms.CharField(
        required=False,
        max_length=200,
        help_text="Where you work or study. Shown to all; editors settle no disputes of people who share theirs.",
        widget=forms.TextInput(attrs={"autocomplete": "organization"}),
    )
    pseudonymous = forms.BooleanField(
        required=False,
        label="In releases, credit me under a pseudonym",
        help_text="Otherwise by your user name. On this site your user name is shown in any case.",
    )
    shortcuts = forms.BooleanField(
        required=False,
        label="Single letters act on pages",
        help_text="/ to search, j and k from neuron to neuron, and the letters of the label queue.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.label_suffix = ""


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def me(request: HttpRequest) -> HttpResponse:
    """One's own account: profile, the way to reviewer, token for the API, how to sign in, one's own data."""
    user = asking(request)
    made = None
    form = ProfileForm(initial={name: getattr(user, name) for name in ("affiliation", "pseudonymous", "shortcuts")})
    if request.method == "POST" and "token" in request.POST:
        if request.POST["token"] == "new":
            made = people.issue_token(user)
        elif request.POST["token"] == "revoke":
            people.revoke_token(user)
            messages.success(request, "Revoked. Programs that used this token are refused from now on.")
            return redirect("me")
    elif request.method == "POST":
        form = ProfileForm(request.POST)
        if form.is_valid():
            try:
                people.change_profile(user, **form.cleaned_data)
            except ValidationError as error:
                for field, found in error.message_dict.items():
                    form.add_error(field, found)
            else:
                messages.success(request, "Saved.")
                return redirect("me")
    context = {
        "form": form,
        "token": Token.objects.filter(user=user).first(),
        "made": made,
        "linked": user.socialaccount_set.order_by("provider"),
        "progress": people.progress(user) if user.role == Role.CONTRIBUTOR else None,
        **EARNED,
    }
    return render(request, "people/me.html", context, status=422 if form.errors else 200)


@login_required
@require_safe
def me_data(request: HttpRequest) -> HttpResponse:
    """Everything that the site holds of this person, as a file."""
    user = asking(request)
    response = JsonResponse(everything_of(user), json_dumps_params={"indent": 2, "ensure_ascii": False})
    response["Content-Disposition"] = 'attachment; filename="neurotaxa-my-data.json"'
    response["Cache-Control"] = "private, no-store"
    return response


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def me_erase(request: HttpRequest) -> HttpResponse:
    """Erase one's own account, after a plain warning."""
    user = asking(request)
    form = ProofForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            people.erase(user, user, proof=form.cleaned_data["proof"])
        except ValidationError as error:
            form.add_error("proof", ValidationError(error.messages))
        else:
            logout(request)
            messages.success(request, "Your account is erased. Thank you for what you gave.")
            return redirect("home")
    context = {"form": form, "answer": can_erase(user, user), "has_password": user.has_usable_password()}
    return render(request, "people/erase.html", context, status=422 if form.errors else 200)


@require_http_methods(["GET", "HEAD", "POST"])
def terms(request: HttpRequest) -> HttpResponse:
    """What one agrees to by contributing; to be accepted again when it changes."""
    sentence = ""
    onward = request.POST.get("next") or request.GET.get("next", "")
    if not url_has_allowed_host_and_scheme(onward, allowed_hosts={request.get_host()}, require_https=False):
        onward = ""
    if request.method == "POST":
        try:
            people.accept_terms(asking(request), request.POST.get("version", ""))
        except ValidationError as error:
            sentence = " ".join(error.messages)
        else:
            messages.success(request, "Accepted. Thank you.")
            return redirect(onward or "home")
    context = {"version": settings.TERMS_VERSION, "sentence": sentence, "next": onward}
    return render(request, "people/terms.html", context, status=422 if sentence else 200)
