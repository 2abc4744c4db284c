"""People: signing up, one's own page, everybody's page, appointments."""

from typing import Any, cast

from allauth.account.forms import SignupForm as AccountSignupForm
from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.core.validators import ProhibitNullCharactersValidator, RegexValidator
from django.db import transaction
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_safe
from rest_framework.authtoken.models import Token

from taxonomy.actions import people
from taxonomy.models import Event, Role, User
from taxonomy.pages.events import told_to
from taxonomy.permissions import can_appoint, hidden_from


def asking(request: HttpRequest) -> User:
    """Whoever asks, for an action: actions refuse those who are not signed in, with the reason."""
    return cast(User, request.user)


class SignupForm(AccountSignupForm):
    """allauth's form, and the terms."""

    terms = forms.BooleanField(
        label="What I contribute is published under CC-BY 4.0 with my user name.",
        error_messages={"required": "Accept the terms to take part; reading needs no account."},
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.label_suffix = ""
        name = self.fields["username"]
        name.help_text = "Letters, digits and . _ - ; shown beside everything you contribute."
        name.validators += [
            ProhibitNullCharactersValidator(),
            RegexValidator(r"^[\w.-]{2,40}\Z", "A user name has 2 to 40 letters, digits, dots or dashes."),
        ]
        self.fields["password1"].help_text = "At least 10 characters; not a common one, and not your name."
        self.order_fields(["username", "email", "password1", "terms"])
        for field in self.fields.values():
            field.widget.attrs.pop("placeholder", None)
        self.fields["terms"].help_text = f"Terms of {settings.TERMS_VERSION}."

    @transaction.atomic
    def save(self, request: HttpRequest) -> User:
        person = cast(User, super().save(request))
        return people.join(person)


PAGE = 50


@require_safe
def people_list(request: HttpRequest) -> HttpResponse:
    """Everybody, and for those who appoint, how."""
    everybody = (
        User.objects.filter(is_active=True, is_system=False)
        .annotate(count=Count("labels", filter=Q(labels__superseded_at=None)))
        .order_by("-count", "username")
    )
    page = Paginator(everybody, PAGE).get_page(request.GET.get("page"))
    return render(request, "people/people.html", {"page": page, "roles": Role})


def _choices(user: User, person: User) -> list[tuple[str, str]]:
    """The roles that this user may give this person."""
    return [(role.value, role.label) for role in Role if role != person.role and can_appoint(user, person, role)]


class AppointmentForm(forms.Form):
    role = forms.ChoiceField(choices=Role.choices, error_messages={"invalid_choice": "There is no such role."})
    reason = forms.CharField(
        max_length=500, error_messages={"required": "Say why: appointments are recorded with their reason."}
    )


def person(request: HttpRequest, username: str) -> HttpResponse:
    """What a person did; appoint them to another role."""
    shown = get_object_or_404(User.objects.filter(is_active=True), username=username)
    form = AppointmentForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            role = form.cleaned_data["role"]
            people.appoint(asking(request), shown, role, reason=form.cleaned_data["reason"])
        except ValidationError as error:
            form.add_error(None, ValidationError(error.messages))
        else:
            messages.success(request, f"{shown.username} is {role} now.")
            return redirect("person", shown.username)
    context = {
        "person": shown,
        "form": form,
        "choices": _choices(asking(request), shown) if request.user.is_authenticated else [],
        "counts": {
            "neurons read": shown.labels.current().count(),
            "neurons accepted": shown.given_reviews.count(),
            "families proposed": shown.proposals.count(),
        },
        "events": told_to(
            request.user, Event.objects.visible_to(request.user, hidden_from(request.user)).filter(actor=shown), 30
        ),
    }
    return render(request, "people/person.html", context, status=422 if form.errors else 200)


@login_required
def me(request: HttpRequest) -> HttpResponse:
    """One's own account: role, token for the API, mail and password."""
    user = asking(request)
    made = None
    if request.method == "POST":
        if request.POST.get("token") == "new":
            made = people.issue_token(user)
        elif request.POST.get("token") == "revoke":
            people.revoke_token(user)
            messages.success(request, "Revoked. Programs that used this token are refused from now on.")
            return redirect("me")
    token = Token.objects.filter(user=user).first()
    return render(request, "people/me.html", {"token": token, "made": made})
