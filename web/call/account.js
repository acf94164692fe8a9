/** Who is signed in: their address, the way to the call log, and the way out. */

/**
 * Shows it above the page; nothing where nobody signs in.
 *
 * @param {{email: string, admin: boolean, auth: string} | undefined} account Of about.json.
 * @param {Document} page
 */
export async function showAccount(account, page) {
  const find = (id) => page.getElementById(id);
  const signedIn = account?.auth === 'link' && Boolean(account.email);
  find('account').hidden = !signedIn && !account?.admin;
  find('calls').hidden = !account?.admin;
  find('email').hidden = !signedIn;
  find('email').textContent = account?.email ?? '';
  // Without a token the button could do nothing; one lasts as long as the session.
  find('sign-out').hidden = !find('sign-out-form').value;
  if (!signedIn || find('sign-out-form').value) return;
  const answer = await fetch('account.json');
  if (!answer.ok) return;
  find('sign-out-form').value = (await answer.json()).form;
  find('sign-out').hidden = false;
}
