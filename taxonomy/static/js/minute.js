// The minute in which a reading can be taken back, in words.

const words = (seconds) => (seconds > 9 ? `${Math.ceil(seconds / 10) * 10} seconds` : "a few seconds");

// Says in `place` how long is left, calmly: every ten seconds. Calls `over` at the end. Returns what stops it.
export const countDown = (place, seconds, before, over) => {
  const end = performance.now() + seconds * 1000;
  const tell = () => {
    const left = (end - performance.now()) / 1000;
    if (left <= 0) {
      clearInterval(timer);
      over();
    } else if (place) place.textContent = `${before} ${words(left)}`;
  };
  const timer = setInterval(tell, 1000);
  tell();
  return () => clearInterval(timer);
};

// On a neuron's own page: when the minute is over, the page is shown anew with the others' readings.
for (const minute of document.querySelectorAll("[data-minute]")) {
  countDown(minute.querySelector("[data-left]"), Number(minute.dataset.minute) + 1, "in", () => {
    const link = minute.querySelector("[data-when-over]");
    // Not under the hands of somebody who is writing.
    const busy = document.activeElement?.closest("input, textarea, select, [contenteditable]");
    if (!busy && !document.hidden) window.location.assign(link.href);
    else minute.querySelector(".facts").replaceChildren("The minute is over: ", link);
  });
}
