"""Which function answers which query."""

from collections.abc import Mapping

from protocol.booking.views import GetBooking, GetTimeline, ListBookings, ListJobs
from protocol.business.views import GetAvailability, GetBusiness, ListStaff
from protocol.conversation.views import GetConversation, ListConversations, ListMessages
from protocol.delivery.views import ListDeliveries
from protocol.device.views import GetVapidKey, ListDevices
from protocol.notification.views import ListNotifications
from protocol.preference.views import GetPreferences
from protocol.registry import Query
from protocol.service.views import FindSlots, GetService, ListCategories, ListServices
from protocol.snapshot import GetSnapshot
from protocol.suggestion.views import GetSuggestions
from protocol.user.views import CurrentUser, Sessions
from protocol.wallet.views import GetBalance, GetStatement
from server.app.node import Node
from server.delivery.channels.push.vapid import VapidKey
from server.edge.handlers import QueryHandler
from server.llm.service import LanguageModel
from server.llm.smart_replies import SmartReplier
from server.queries.notifications import list_notifications
from server.queries.slots import SlotFinder
from server.queries.suggestions import Suggestions
from server.queries.timeline import timeline
from storage.queries.booking import get_booking, list_bookings, list_jobs
from storage.queries.business import get_availability, get_business, list_staff
from storage.queries.conversation import get_conversation, list_conversations, list_messages
from storage.queries.delivery import list_deliveries
from storage.queries.device import list_devices
from storage.queries.recipient import get_preferences
from storage.queries.records import record_queries
from storage.queries.service import get_service, list_categories, list_services
from storage.queries.snapshot import get_snapshot
from storage.queries.user import current_user, list_sessions
from storage.queries.wallet import get_balance, get_statement


def query_handlers(node: Node, vapid: VapidKey, model: LanguageModel) -> Mapping[type[Query], QueryHandler]:
    """Bind each query to what answers it."""
    return {
        CurrentUser: current_user,
        Sessions: list_sessions,
        GetBusiness: get_business,
        ListStaff: list_staff,
        GetAvailability: get_availability,
        ListServices: list_services,
        GetService: get_service,
        ListCategories: list_categories,
        FindSlots: SlotFinder(node.sources, node.clock.now),
        GetBooking: get_booking,
        ListBookings: list_bookings,
        ListJobs: list_jobs,
        GetTimeline: timeline,
        ListConversations: list_conversations,
        GetConversation: get_conversation,
        ListMessages: list_messages,
        GetSuggestions: Suggestions(SmartReplier(model, node.clock.now), node.clock.now),
        GetSnapshot: get_snapshot,
        ListNotifications: list_notifications,
        GetPreferences: get_preferences,
        ListDeliveries: list_deliveries,
        ListDevices: list_devices,
        GetVapidKey: vapid.show,
        GetBalance: get_balance,
        GetStatement: get_statement,
        **record_queries(),
    }
