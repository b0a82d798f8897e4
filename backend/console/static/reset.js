// The one-time token stands behind the # of the link, which browsers send to nobody: put it into the form, and out of the address.
const token = new URLSearchParams(location.hash.slice(1)).get("token");
if (token) {
  document.querySelector("#token").value = token;
  document.querySelector("[data-token]").hidden = true;
  history.replaceState(null, "", location.pathname);
}
