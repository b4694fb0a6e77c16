"""A second opinion: Python's smtplib and poplib against the mail server of the exercise."""
import email.message
import poplib
import smtplib
import sys

smtp_port, pop_port, user, password = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]


def compose(n):
    m = email.message.EmailMessage()
    m["Subject"], m["From"], m["To"] = f"TEAU0_{n}", "praxis-001@praxen.uebung.invalid", user
    m.set_content(".\n..\n.punkt am Anfang\nUmlaute: äöü\n" + "x" * 300 + "\n")
    return m


with smtplib.SMTP("127.0.0.1", smtp_port) as s:
    for n in range(3):
        s.send_message(compose(n))
    try:
        s.sendmail("a@uebung.invalid", ["b@example.org"], "x")
        raise SystemExit("a foreign domain was taken")
    except smtplib.SMTPRecipientsRefused:
        pass

p = poplib.POP3("127.0.0.1", pop_port, timeout=10)
capa = p.capa()
assert {"UIDL", "TOP", "PIPELINING"} <= set(capa), capa
p.user(user)
p.pass_(password)
count, octets = p.stat()
assert count == 3, count
sizes = [int(line.split()[1]) for line in p.list()[1]]
assert sum(sizes) == octets, (sizes, octets)
uids = [line.split()[1] for line in p.uidl()[1]]
assert len(set(uids)) == 3, uids
for n in range(3):
    _, lines, got = p.retr(n + 1)
    raw = b"\r\n".join(lines) + b"\r\n"
    assert len(raw) == sizes[n], (len(raw), sizes[n])
    m = email.message_from_bytes(raw, policy=email.policy.default)
    assert m["Subject"] == f"TEAU0_{n}" and "ÜBUNG" in m["X-Uebung"], m.items()
    assert m.get_content().replace("\r\n", "\n") == compose(n).get_content(), m.get_content()
assert len(p.top(1, 2)[1]) < len(p.retr(1)[1])
p.dele(1)
p.rset()
assert p.stat()[0] == 3
p.dele(2)
p.quit()

p = poplib.POP3("127.0.0.1", pop_port, timeout=10)
p.user(user)
p.pass_(password)
assert [line.split()[1] for line in p.uidl()[1]] == [uids[0], uids[2]]
p.quit()
