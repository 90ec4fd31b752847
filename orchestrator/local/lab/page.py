"""The lab's page. It reads `/state` and writes text nodes only, so nothing that an alert carried is ever markup."""

from __future__ import annotations

STYLE = """
:root { color-scheme: light dark; --line: #8884; --bad: #c0392b; --good: #1e8e4e; --dim: #888; }
* { box-sizing: border-box } body { font: 15px/1.45 system-ui, sans-serif; margin: 0 auto; max-width: 1180px; padding: 20px }
h1 { font-size: 22px; margin: 0 } header p { margin: 2px 0 18px; color: var(--dim) }
main { display: grid; grid-template-columns: repeat(auto-fit, minmax(330px, 1fr)); gap: 16px }
section { border: 1px solid var(--line); border-radius: 10px; padding: 12px 14px; overflow: hidden }
h2 { font-size: 15px; margin: 0 0 8px; display: flex; justify-content: space-between }
h2 b { font-weight: 600; color: var(--dim) } ul { list-style: none; margin: 0; padding: 0 }
li { padding: 5px 0; border-top: 1px solid var(--line); overflow-wrap: anywhere } li:first-child { border: 0 }
small { color: var(--dim); display: block } .bad { color: var(--bad); font-weight: 600 } .good { color: var(--good) }
.wide { grid-column: 1 / -1 } .wide li { font: 13px/1.5 ui-monospace, monospace } .none { color: var(--dim) }
"""

SCRIPT = """
const text = (tag, value, kind) => { const e = document.createElement(tag); e.textContent = value ?? ''; if (kind) e.className = kind; return e };
const fill = (id, items, row) => {
  const list = document.getElementById(id); list.replaceChildren();
  document.getElementById(id + '-count').textContent = items.length;
  if (!items.length) list.append(text('li', 'nothing yet', 'none'));
  for (const item of items) { const li = document.createElement('li'); row(item, li); list.append(li) }
};
const clock = at => (at || '').slice(11, 19);
async function show() {
  try {
    const s = await (await fetch('/state')).json();
    fill('blocks', s.blocks, (b, li) => li.append(text('span', b.ip, 'bad'), text('small', `${b.reason || ''} since ${clock(b.at)}${b.until ? ', until ' + b.until.slice(0, 16).replace('T', ' ') : ''}`)));
    fill('accounts', s.accounts, (a, li) => li.append(text('span', a.name + (a.enabled ? '' : ': disabled'), a.enabled ? 'good' : 'bad')));
    fill('tickets', s.tickets.slice().reverse(), (t, li) => li.append(text('span', `#${t.id} ${t.title}`), text('small', `${t.status}, ${t.comments.length} comments, ${clock(t.at)}`)));
    fill('messages', s.messages.slice().reverse(), (m, li) => li.append(text('span', m.text), text('small', `#${m.channel} ${clock(m.at)}`)));
    fill('requests', s.requests, (r, li) => li.append(text('span', `${clock(r.at)}  ${r.method.padEnd(6)} ${r.path}`)));
    document.getElementById('total').textContent = `${s.total} requests so far`;
  } catch { document.getElementById('total').textContent = 'the lab does not answer' }
}
show(); setInterval(show, 1000);
"""

BOXES = (
    ("blocks", "Firewall: blocked addresses", ""),
    ("accounts", "Directory: accounts", ""),
    ("tickets", "Tickets", ""),
    ("messages", "Chat", ""),
    ("requests", "Last requests, newest first", "wide"),
)


def page(nonce: str) -> str:
    """The page, its style and script allowed by the nonce alone."""
    boxes = "".join(
        f'<section class="{kind}"><h2>{title}<b id="{name}-count"></b></h2><ul id="{name}"></ul></section>'
        for name, title, kind in BOXES
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Tocsin lab</title>'
        '<meta name="viewport" content="width=device-width"><link rel="icon" href="data:,">'
        f'<style nonce="{nonce}">{STYLE}</style></head><body><header><h1>Tocsin lab</h1>'
        '<p>plays firewall, directory, tickets, intelligence and chat; <span id="total"></span></p></header>'
        f'<main>{boxes}</main><script nonce="{nonce}">{SCRIPT}</script></body></html>'
    )
