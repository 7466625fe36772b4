"""Accounts for aioxmpp's own end-to-end tests."""

from aioxmpp.e2etest.provision import Provisioner, StaticPasswordProvisioner


class UnusedAccounts(StaticPasswordProvisioner):
    """Gives every account once: each test begins with people who have no past, as the tests ask."""

    async def teardown(self):
        # Past the one above, which would begin with the first account again.
        await Provisioner.teardown(self)
