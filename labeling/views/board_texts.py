"""What the board's script says to people, translated here where all other texts are."""

from django.utils.translation import gettext as _

from labeling.ranking import MESSAGES


def board_texts() -> dict[str, object]:
    return {
        "errors": {code: _(template) for code, template in MESSAGES.items()},
        "ordinals": [
            _("first"), _("second"), _("third"), _("fourth"), _("fifth"), _("sixth"), _("seventh"), _("eighth"), _("ninth"),
        ],
        "short_ordinals": [
            _("1st"), _("2nd"), _("3rd"), _("4th"), _("5th"), _("6th"), _("7th"), _("8th"), _("9th"),
        ],
        "and": _("and"),
        "placed": _("%(letter)s %(ordinal)s"),
        "placed_tied": _("%(letter)s %(ordinal)s, tied with %(others)s"),
        "unranked": _("%(letter)s not ranked"),
        "line_drawn": _("Good enough: %(letters)s"),
        "line_none": _("Good enough: none"),
        "line_removed": _("No line"),
        "rest_on": _("The outputs that are not ranked are worse than all that are"),
        "rest_off": _("Nothing is said about the outputs that are not ranked"),
        "unanswered": _("Not answered yet: %(question)s"),
        "unanswered_about": _("Not answered yet for %(letters)s: %(question)s"),
        "all_answered": _("All questions are answered."),
        "checked": _("chosen"),
        "unchecked": _("not chosen"),
        "not_asked": _("Not sent: the server cannot be reached. Your question is kept here."),
        "undone": _("Step undone"),
        "nothing_to_undo": _("There is nothing to undo"),
        "draft": _("Your draft is back."),
        "unstored": _("This ranking was not stored yet; submit it again."),
        "start_here": _("Press a digit, drag letters here, or type the order below"),
        "start_here_by_touch": _("Tap a rank, or drag"),
        "unranked_label": _("not ranked"),
        "good_enough": _("good enough"),
        "rest_label": _("the rest"),
        "missing": _("Not ranked yet: %(letters)s."),
        "nothing_said": _("Nothing is ranked yet."),
        "fix_typing": _("The typed order cannot be read yet; mend it or clear it."),
        "unread": _("You have not read %(letters)s to the end. Submit all the same?"),
        "submit": _("Submit"),
        "saving": _("Saving …"),
        "stored": _("Stored: %(ranking)s"),
        "skipped": _("Skipped"),
        "flagged": _("Flagged"),
        "undo": _("Undo"),
        "called_back": _("Your last task is back."),
        "new_task": _("Next task. %(progress)s"),
        "pace": _("%(n)s an hour"),
        "all_done": _("All done."),
        "offline": _("Not saved: the server cannot be reached. Your ranking is kept here, also if you close the page."),
        "signed_out": _("Not saved: you are signed out. Your ranking is kept here. Sign in in the new tab, then try again."),
        "broken": _("Not saved: the server met an error. Your ranking is kept here; try again in a moment."),
        "retry": _("Try again"),
        "sign_in": _("Sign in"),
        "revise": _("Replace it by this ranking"),
        "next": _("Go to the next task"),
    }  # fmt: skip
