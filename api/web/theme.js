// Before anything is drawn: the theme that was chosen here, if one was. Not a module, because those run too late for that.

(() => {
  const KEY = "kijimuna.theme";
  const NEXT = { auto: "light", light: "dark", dark: "auto" };
  const root = document.documentElement;

  function chosen() {
    try {
      return localStorage.getItem(KEY) in NEXT ? localStorage.getItem(KEY) : "auto";
    } catch {
      return "auto"; // Storage may be forbidden; then nothing is kept.
    }
  }

  function keep(theme) {
    try {
      localStorage.setItem(KEY, theme);
    } catch {
      // It holds for this page, then.
    }
  }

  function show(theme) {
    if (theme === "auto") delete root.dataset.theme;
    else root.dataset.theme = theme;
  }

  function offer(button) {
    let theme = chosen();
    const label = () => (button.textContent = `Theme: ${theme}`);
    label();
    button.hidden = false;
    button.addEventListener("click", () => {
      theme = NEXT[theme];
      keep(theme);
      show(theme);
      label();
    });
  }

  show(chosen());
  document.addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme");
    if (button) offer(button);
  });
})();
