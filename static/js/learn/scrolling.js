// What is wider than its box can be scrolled by keyboard too: it takes the focus, where it must.

/** @param {HTMLElement} article whose boxes come and go, and change their size */
export function letScroll(article) {
  const sizes = new ResizeObserver((entries) => {
    for (const { target } of entries) tell(/** @type {HTMLElement} */ (target));
  });
  const look = () => {
    for (const box of article.querySelectorAll(".lesson-scroll")) sizes.observe(box);
  };
  new MutationObserver(look).observe(article, { childList: true, subtree: true });
  look();
}

/** @param {HTMLElement} box */
function tell(box) {
  if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
  else box.removeAttribute("tabindex");
}
