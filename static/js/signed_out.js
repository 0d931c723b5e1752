// The server knows the page's key no longer: said once, for all parts of the page.
//
// What the parts say of their own requests is not shown meanwhile (base.css), and so not read aloud.

/** @type {HTMLElement | null} */
let notice = null;

/** Nothing else on the page changes. @param {string} words */
function show(words) {
  if (notice) return;
  notice = document.createElement("p");
  notice.className = "alert signed-out";
  notice.setAttribute("role", "alert");
  notice.append(`${words} `, signInLink(), " to go on.");
  document.documentElement.classList.add("is-signed-out");
  document.getElementById("main")?.before(notice);
}

/** Somebody has signed in, perhaps in another tab. */
function hide() {
  notice?.remove();
  notice = null;
  document.documentElement.classList.remove("is-signed-out");
}

function signInLink() {
  const link = document.createElement("a");
  link.textContent = "Sign in";
  const lead = () => {
    link.href = `/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`;
  };
  // The address of a page changes with what is typed and chosen there.
  for (const moment of ["pointerdown", "focus", "click"]) link.addEventListener(moment, lead);
  lead();
  return link;
}

document.addEventListener("signedout", (event) => {
  show(/** @type {CustomEvent<string>} */ (event).detail);
});
document.addEventListener("signedin", hide);
